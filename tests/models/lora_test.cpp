// What is added to a weight, the keys of LoRAs, and LoRAs that are refused.
#include "models/lora.h"

#include "../refusals.h"
#include "core/error.h"
#include "support.h"

using namespace longhand;

namespace {

const fs::path golden = LONGHAND_TESTS "/golden/lora";

struct File {
  explicit File(const TensorMap& tensors, const std::string& name = "lora")
      : path(fs::temp_directory_path() /
             fmt::format("longhand-{}-{}.safetensors", name, getpid())) {
    save_tensors(path, tensors, at::kFloat);
  }
  ~File() { fs::remove(path); }
  fs::path path;
};

template <class Call>
std::string error_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    CHECK(error.kind() == Kind::corrupt);
    return error.what();
  }
  FAIL("expected an error");
  return "";
}

double distance(const at::Tensor& a, const at::Tensor& b) {
  REQUIRE(a.sizes() == b.sizes());
  return (a - b).abs().max().item<double>();
}

}  // namespace

TEST_CASE("the product of a LoCon is the convolutions one after the other") {
  at::manual_seed(1);
  const at::Tensor x = at::rand({1, 5, 6, 7}), up = at::rand({4, 2, 1, 1});
  const LowRank plain{up, at::rand({2, 5, 3, 3}), {}, 0.5};
  CHECK(distance(at::conv2d(x, plain.product()), at::conv2d(at::conv2d(x, plain.down), up) * 0.5) <
        1e-4);
  const LowRank tucker{up, at::rand({2, 5, 1, 1}), at::rand({2, 2, 3, 3}), 0.5};
  const at::Tensor after = at::conv2d(at::conv2d(at::conv2d(x, tucker.down), tucker.mid), up);
  CHECK(distance(at::conv2d(x, tucker.product()), after * 0.5) < 1e-4);
}

TEST_CASE("which weights an adaptation fits") {
  const LowRank linear{at::rand({4, 2}), at::rand({2, 5})};
  CHECK(linear.fits({4, 5}));
  CHECK(linear.fits({4, 5, 1, 1}));
  CHECK_FALSE(linear.fits({5, 4}));
  CHECK_FALSE(linear.fits({4, 5, 3, 3}));
  CHECK_FALSE(linear.fits({20}));
  const LowRank convolution{at::rand({4, 2, 1, 1}), at::rand({2, 5, 3, 3})};
  CHECK(convolution.fits({4, 5, 3, 3}));
  CHECK_FALSE(convolution.fits({4, 45}));
  const LowRank pointwise{at::rand({4, 2, 1, 1}), at::rand({2, 5, 1, 1})};
  CHECK(pointwise.fits({4, 5}));
  CHECK_FALSE(LowRank{at::rand({4, 3}), at::rand({2, 5})}.fits({4, 5}));
  CHECK_FALSE(LowRank{at::rand({4, 0}), at::rand({0, 5})}.fits({4, 5}));
  CHECK_FALSE(LowRank{at::rand({4}), at::rand({5})}.fits({4, 5}));
}

TEST_CASE("keys of LoRAs") {
  const auto parsed = [](const char* key) {
    const auto found = LoraKey::parse(key);
    return found ? found->component + " " + found->module + " " + found->part : "none";
  };
  CHECK(parsed("unet.mid_block.attentions.0.proj_in.lora_A.weight") ==
        "unet mid_block_attentions_0_proj_in down");
  CHECK(parsed("unet.base_model.model.conv_in.lora_B.default.weight") == "unet conv_in up");
  CHECK(parsed("base_model.model.text_model.encoder.layers.0.mlp.fc1.lora_A.weight") ==
        "text_encoder text_model_encoder_layers_0_mlp_fc1 down");
  CHECK(
      parsed("mid_block.attentions.0.transformer_blocks.0.attn1.processor.to_out_lora.up.weight") ==
      "unet mid_block_attentions_0_transformer_blocks_0_attn1_to_out_0 up");
  CHECK(parsed("text_encoder.text_model.encoder.layers.0.self_attn.to_q_lora.down.weight") ==
        "text_encoder text_model_encoder_layers_0_self_attn_q_proj down");
  CHECK(parsed("text_encoder_2.text_model.encoder.layers.0.self_attn.out_proj.lora_linear_layer.up."
               "weight") == "text_encoder_2 text_model_encoder_layers_0_self_attn_out_proj up");
  CHECK(parsed("lora_unet_input_blocks_4_1_proj_in.lora_down.weight") ==
        "unet input_blocks_4_1_proj_in down");
  CHECK(parsed("lora_unet_input_blocks_1_0_in_layers_2.lora_mid.weight") ==
        "unet input_blocks_1_0_in_layers_2 mid");
  CHECK(parsed("lora_te2_text_projection.alpha") == "text_encoder_2 text_projection alpha");
  CHECK(parsed("unet.mid_block.attentions.0.proj_in.dora_scale") == "none");
  CHECK(parsed("lora_unet_mid_block_attentions_0_proj_in.hada_w1_a") == "none");
}

TEST_CASE("LCM's LoRA finds its weights in SDXL") {
  std::set<std::string> modules;
  for (const auto& [name, shape] :
       shapes_in(LONGHAND_TESTS "/keys/stable-diffusion-xl-base-1.0.unet.txt.gz")) {
    std::string module = name.substr(0, name.rfind('.'));
    std::ranges::replace(module, '.', '_');
    modules.insert(module);
  }
  std::set<std::string> adapted;
  for (const auto& [key, shape] :
       shapes_in(LONGHAND_TESTS "/keys/lcm-lora-sdxl.unet_lora_PREDICTED.txt.gz")) {
    const auto parsed = LoraKey::parse(key);
    REQUIRE_MESSAGE(parsed, key);
    CHECK_MESSAGE(modules.contains(parsed->module), key);
    adapted.insert(parsed->module);
  }
  CHECK(adapted.size() == 788);
}

TEST_CASE("LoRAs that are refused") {
  const at::Tensor factor = at::rand({2, 2});
  const auto load = [](const TensorMap& tensors) {
    const File file(tensors);
    return error_of([&] { Lora::load(file.path); });
  };
  CHECK(has(load({{"unet.conv_in.lora_A.weight", factor}, {"unet.conv_in.dora_scale", factor}}),
            "1 keys that are no LoRA's: unet.conv_in.dora_scale"));
  CHECK(has(load({{"unet.conv_in.lora_A.weight", factor}}), "lacks its up or its down"));
  CHECK(has(load({{"a.lora_A.weight", factor}, {"a.lora_B.weight", factor}, {"a.alpha", factor}}),
            "1 keys that are no LoRA's: a.alpha"));
  CHECK(has(load({}), "no tensors"));
}

TEST_CASE("a LoRA for another model") {
  auto weights = Weights::mapped({golden / "base.safetensors"}, at::kFloat, [](TensorMap all) {
    return TensorMap{{"conv_in.weight", all.at("unet.conv_in.weight")}};
  });
  const File file({{"unet.conv_in.lora_A.weight", at::rand({2, 9, 3, 3})},
                   {"unet.conv_in.lora_B.weight", at::rand({4, 2, 1, 1})},
                   {"unet.elsewhere.lora_A.weight", at::rand({2, 4})},
                   {"unet.elsewhere.lora_B.weight", at::rand({4, 2})},
                   {"text_encoder.fc1.lora_A.weight", at::rand({2, 4})},
                   {"text_encoder.fc1.lora_B.weight", at::rand({4, 2})}});
  const std::string message = error_of([&] { Lora::load(file.path).add_to({{"unet", &weights}}); });
  CHECK(has(message, "3 of its 3 modules"));
  for (const char* name : {"unet.conv_in.weight", "unet.elsewhere", "text_encoder.fc1"}) {
    CHECK_MESSAGE(has(message, name), message);
  }
}

TEST_CASE("scales that PEFT's configuration gives") {
  const fs::path folder = fs::temp_directory_path() / fmt::format("longhand-adapter-{}", getpid());
  const at::Tensor down = at::rand({4, 6, 3, 3}), up = at::rand({4, 4, 1, 1});
  save_tensors(folder / "adapter_model.safetensors",
               {{"base_model.model.conv_in.lora_A.weight", down},
                {"base_model.model.conv_in.lora_B.weight", up}},
               at::kFloat);
  const at::Tensor weight = at::rand({4, 6, 3, 3});
  save_tensors(folder / "base.safetensors", {{"conv_in.weight", weight}}, at::kFloat);
  const auto added = [&](const char* config) {
    write_file_atomically(folder / "adapter_config.json", config);
    auto weights = Weights::mapped({folder / "base.safetensors"}, at::kFloat);
    Lora::load(folder).add_to({{"unet", &weights}});
    return weights.take("conv_in.weight", weight.sizes(), Init::zeros) - weight;
  };
  const at::Tensor product = LowRank{up, down}.product();
  CHECK(distance(added("{}"), product) < 1e-5);
  CHECK(distance(added(R"({"lora_alpha": 6})"), product * 1.5) < 1e-5);
  CHECK(distance(added(R"({"lora_alpha": 6, "use_rslora": true})"), product * 3) < 1e-5);
  CHECK(distance(added(R"({"lora_alpha": 6, "alpha_pattern": {"conv_in": 2}})"), product * 0.5) <
        1e-5);
  CHECK(has(error_of([&] { added(R"({"use_dora": true})"); }), "is a DoRA"));
  CHECK(has(error_of([&] { added(R"({"alpha_pattern": {"(": 2}})"); }), "no regular expression"));
  fs::remove_all(folder);
}

TEST_CASE("a LoCon with a middle, merged as a smaller type") {
  const at::Tensor weight = at::rand({4, 6, 3, 3}), down = at::rand({2, 6, 1, 1}),
                   mid = at::rand({2, 2, 3, 3}), up = at::rand({4, 2, 1, 1});
  const File base({{"conv_in.weight", weight}}, "base");
  const File lora({{"lora_unet_conv_in.lora_down.weight", down},
                   {"lora_unet_conv_in.lora_mid.weight", mid},
                   {"lora_unet_conv_in.lora_up.weight", up},
                   {"lora_unet_conv_in.alpha", at::full({}, 1.0)}});
  auto weights = Weights::mapped({base.path}, at::kBFloat16);
  Lora::load(lora.path, 2).add_to({{"unet", &weights}});
  const at::Tensor expected = (weight + LowRank{up, down, mid}.product()).to(at::kBFloat16);
  CHECK(at::equal(weights.take("conv_in.weight", weight.sizes(), Init::zeros), expected));
}
