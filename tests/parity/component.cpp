// Runs one component of a model on recorded inputs: what tests/parity/parity.py compares with the
// reference at full size.
//
//   component FOLDER float32|bfloat16 inputs.safetensors outputs.safetensors
//
// FOLDER has config.json and the weights; inputs have the names of the reference's arguments.
#include <fmt/format.h>

#include <functional>

#include "core/error.h"
#include "models/autoencoder_kl.h"
#include "models/autoencoder_tiny.h"
#include "models/checkpoint_files.h"
#include "models/clip_model.h"
#include "models/clip_text.h"
#include "models/clip_vision.h"
#include "models/config.h"
#include "models/prior_transformer.h"
#include "models/unclip_text_proj.h"
#include "models/unet_2d.h"
#include "models/unet_2d_condition.h"
#include "models/vq_model.h"
#include "nn/dtype.h"

using namespace longhand;

namespace {

/// A component's inputs, floating ones in the type that it computes in.
class Inputs {
 public:
  Inputs(const fs::path& file, at::ScalarType dtype)
      : tensors_(load_tensors(file)), dtype_(dtype) {}
  /// Undefined where the reference was not given it.
  Tensor operator[](const std::string& name) const {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) {
      return {};
    }
    const bool exact = name == "timesteps" || name == "time_ids" || name == "mask";
    return found->second.is_floating_point() && !exact ? found->second.to(dtype_) : found->second;
  }

 private:
  TensorMap tensors_;
  at::ScalarType dtype_;
};

using Run = TensorMap (*)(Weights&, const nlohmann::json&, const Inputs&);

TensorMap run_unet(Weights& weights, const nlohmann::json& config, const Inputs& in) {
  const UNet2DConditionModel model(weights, UNet2DConditionConfig::from_json(config));
  return {{"sample", model.forward(in["sample"], in["timesteps"],
                                   {in["encoder_hidden_states"], in["mask"], in["class_labels"],
                                    in["text_embeds"], in["time_ids"], in["image_embeds"],
                                    in["timestep_cond"]})}};
}

TensorMap run_unet_2d(Weights& weights, const nlohmann::json& config, const Inputs& in) {
  const UNet2DModel model(weights, UNet2DConfig::from_json(config));
  return {{"sample", model.forward(in["sample"], in["timesteps"])}};
}

TensorMap run_vae(Weights& weights, const nlohmann::json& config, const Inputs& in) {
  const AutoencoderKL model(weights, AutoencoderKLConfig::from_json(config));
  return {{"mean", model.encode(in["pictures"]).first}, {"sample", model.decode(in["latents"])}};
}

TensorMap run_tiny_vae(Weights& weights, const nlohmann::json& config, const Inputs& in) {
  const AutoencoderTiny model(weights, AutoencoderTinyConfig::from_json(config));
  return {{"mean", model.encode(in["pictures"])}, {"sample", model.decode(in["latents"])}};
}

TensorMap run_vq(Weights& weights, const nlohmann::json& config, const Inputs& in) {
  const VQModel model(weights, VQModelConfig::from_json(config));
  return {{"mean", model.encode(in["pictures"])}, {"sample", model.decode(in["latents"])}};
}

TensorMap run_text(Weights& weights, const nlohmann::json& config, const Inputs& in) {
  const CLIPTextModel model(weights, CLIPTextConfig::from_json(config));
  const TextEncoding read = model.forward(in["ids"]);
  TensorMap out = {{"last_hidden_state", read.last_hidden_state},
                   {"penultimate", read.penultimate}};
  if (read.text_embeds.defined()) {
    out["text_embeds"] = read.text_embeds;
  }
  return out;
}

TensorMap run_vision(Weights& weights, const nlohmann::json& config, const Inputs& in) {
  const CLIPVisionModelWithProjection model(weights, CLIPVisionConfig::from_json(config));
  return {{"image_embeds", model.forward(in["pixel_values"]).image_embeds}};
}

TensorMap run_prior(Weights& weights, const nlohmann::json& config, const Inputs& in) {
  const PriorTransformer model(weights, PriorTransformerConfig::from_json(config));
  return {{"sample", model.forward(in["sample"], in["timesteps"],
                                   {in["text_embeds"], in["encoder_hidden_states"], in["mask"]})}};
}

TensorMap run_text_proj(Weights& weights, const nlohmann::json& config, const Inputs& in) {
  const UnCLIPTextProjModel model(weights, UnCLIPTextProjConfig::from_json(config));
  const auto out =
      model.forward(in["image_embeds"], in["text_embeds"], in["encoder_hidden_states"], true);
  return {{"context", out.context}, {"time", out.time}};
}

struct Component {
  const char* weights;
  Run run;
};

const std::map<std::string, Component> components = {
    {"UNet2DConditionModel", {"diffusion_pytorch_model", run_unet}},
    {"UNet2DModel", {"diffusion_pytorch_model", run_unet_2d}},
    {"AutoencoderKL", {"diffusion_pytorch_model", run_vae}},
    {"AutoencoderTiny", {"diffusion_pytorch_model", run_tiny_vae}},
    {"VQModel", {"diffusion_pytorch_model", run_vq}},
    {"PriorTransformer", {"diffusion_pytorch_model", run_prior}},
    {"UnCLIPTextProjModel", {"diffusion_pytorch_model", run_text_proj}},
    {"CLIPTextModel", {"model", run_text}},
    {"CLIPTextModelWithProjection", {"model", run_text}},
    {"CLIPVisionModelWithProjection", {"model", run_vision}},
};

int run(const fs::path& folder, const std::string& type, const fs::path& in, const fs::path& out) {
  const c10::InferenceMode inference;
  const at::ScalarType dtype = dtype_named(type);
  const nlohmann::json config = read_config(folder / "config.json");
  const std::string name = config.contains("_class_name")
                               ? config["_class_name"].get<std::string>()
                               : config.at("architectures").at(0).get<std::string>();
  const Component& component = components.at(name);
  Weights weights = Weights::mapped(weight_files(folder, component.weights), dtype);
  save_tensors(out, component.run(weights, config, Inputs(in, dtype)), at::kFloat);
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 5) {
    fmt::print(stderr, "usage: component FOLDER TYPE INPUTS OUTPUTS\n");
    return 2;
  }
  try {
    return run(arguments[1], arguments[2], arguments[3], arguments[4]);
  } catch (const std::exception& error) {
    fmt::print(stderr, "component: {}\n", error.what());
    return 1;
  }
}
