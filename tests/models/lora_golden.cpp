// One LoRA in every key layout, fused as diffusers and PEFT fuse it (tests/golden/record_loras.py).
// Tolerance: 1e-6, a few units in the last place of weights below 1: the same products of float32,
// summed in another order.
#include "models/lora.h"
#include "support.h"

using namespace longhand;

namespace {

const fs::path golden = LONGHAND_TESTS "/golden/lora";

TensorMap below(const TensorMap& tensors, const std::string& prefix) {
  TensorMap result;
  for (const auto& [name, tensor] : tensors) {
    if (name.starts_with(prefix)) {
      result[name.substr(prefix.size())] = tensor;
    }
  }
  return result;
}

double distance(const at::Tensor& a, const at::Tensor& b) {
  REQUIRE(a.sizes() == b.sizes());
  return (a - b).abs().max().item<double>();
}

/// Every weight of a component is the fused one, or the one of the base where there is none.
void check_component(Weights& weights, const TensorMap& base, const TensorMap& fused) {
  for (const auto& [name, tensor] : base) {
    const auto found = fused.find(name);
    const at::Tensor expected = found == fused.end() ? tensor : found->second;
    if (tensor.dim() == 4) {
      const at::Tensor read = weights.channels_last(name)();
      CHECK(read.is_contiguous(at::MemoryFormat::ChannelsLast));
      CHECK_MESSAGE(distance(read, expected) < 1e-6, name);
    }
    CHECK_MESSAGE(distance(weights.take(name, tensor.sizes(), Init::zeros), expected) < 1e-6, name);
  }
}

Weights component(const std::string& prefix) {
  return Weights::mapped({golden / "base.safetensors"}, at::kFloat,
                         [&](const TensorMap& all) { return below(all, prefix); });
}

void check(const fs::path& lora, const fs::path& fused_file, bool with_text) {
  CAPTURE(lora.string());
  const TensorMap base = load_tensors(golden / "base.safetensors"),
                  fused = load_tensors(fused_file);
  Weights unet = component("unet."), text = component("text_encoder.");
  Lora::load(lora, 0.75).add_to({{"unet", &unet}, {"text_encoder", &text}});
  check_component(unet, below(base, "unet."), below(fused, "unet."));
  check_component(text, below(base, "text_encoder."),
                  with_text ? below(fused, "text_encoder.") : TensorMap());
}

}  // namespace

TEST_CASE("LoRAs in each key layout, fused") {
  for (const char* name : {"peft", "diffusers", "kohya", "kohya_original_blocks"}) {
    check(golden / (std::string(name) + ".safetensors"), golden / "fused.safetensors", true);
  }
  check(golden / "adapter", golden / "fused.safetensors", false);
  check(golden / "attention_processors.safetensors", golden / "fused_attention.safetensors", false);
}

TEST_CASE("two LoRAs with weights of their own") {
  const TensorMap base = below(load_tensors(golden / "base.safetensors"), "unet."),
                  fused = below(load_tensors(golden / "fused.safetensors"), "unet."),
                  attention = below(load_tensors(golden / "fused_attention.safetensors"), "unet.");
  Weights unet = component("unet."), text = component("text_encoder.");
  const std::map<std::string, Weights*> components = {{"unet", &unet}, {"text_encoder", &text}};
  Lora::load(golden / "kohya.safetensors", 0.75).add_to(components);
  Lora::load(golden / "attention_processors.safetensors", -1.5).add_to(components);
  for (const auto& [name, weight] : attention) {  // one times it, less two times it
    const at::Tensor expected = fused.at(name) - 2 * (weight - base.at(name));
    CHECK_MESSAGE(distance(unet.take(name, weight.sizes(), Init::zeros), expected) < 2e-6, name);
  }
}
