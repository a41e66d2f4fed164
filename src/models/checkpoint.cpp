#include "models/checkpoint.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <regex>

#include "core/error.h"
#include "models/checkpoint_files.h"
#include "models/checkpoint_layouts.h"
#include "models/config.h"

namespace longhand {
namespace {

TensorMap as_they_are(TensorMap tensors) { return tensors; }

const std::vector<SingleFile>& single_files() {
  static const SingleFilePart unet = {"unet", "model.diffusion_model.", original_unet},
                              vae = {"vae", "first_stage_model.", ddpm_names};
  static const std::vector<SingleFile> kinds = {
      {"conditioner.embedders.1.model.",
       "stable-diffusion-xl-base-1.0",
       {unet,
        vae,
        {"text_encoder", "conditioner.embedders.0.transformer.", as_they_are},
        {"text_encoder_2", "conditioner.embedders.1.model.", open_clip_text}}},
      {"conditioner.embedders.0.model.",
       "stable-diffusion-xl-refiner-1.0",
       {unet, vae, {"text_encoder_2", "conditioner.embedders.0.model.", open_clip_text}}},
      {"cond_stage_model.model.",
       "stable-diffusion-2-1",
       {unet, vae, {"text_encoder", "cond_stage_model.model.", open_clip_text_penultimate}}},
      {"cond_stage_model.transformer.",
       "stable-diffusion-v1-5",
       {unet, vae, {"text_encoder", "cond_stage_model.transformer.", as_they_are}}},
      {"temb.dense.0.", "ddpm-256", {{"unet", "", ddpm_names}}},
  };
  return kinds;
}

/// Keys of checkpoints that painting has no use for: the average that training kept beside the
/// weights, the noise schedule, the autoencoder's critic, constants, CLIP's temperature.
bool superfluous(const std::string& key) {
  static const std::regex pattern(
      R"((first_stage_model\.)?(model_ema|loss)\..+|denoiser\.(log_)?sigmas|global_step|v_pred)"
      R"(|ztsnr|scale_factor|betas|logvar|lvlb_weights|(sqrt_|log_)?(one_minus_)?alphas_cumprod)"
      R"((_prev)?|sqrt_recipm?1?_alphas_cumprod|posterior_.+|.+\.(position_ids|logit_scale)"
      R"(|attn_mask)|conditioner\.embedders\.0\.transformer\.text_projection(\.weight)?)");
  return std::regex_match(key, pattern);
}

std::vector<std::string> components_of(const nlohmann::json& model_index) {
  std::vector<std::string> names;
  for (const auto& [name, value] : model_index.items()) {
    if (value.is_array() && value.size() == 2 && value[0].is_string()) {
      names.push_back(name);
    }
  }
  return names;
}

/// transformers' models are stored under another stem than diffusers'.
const char* stem_of(const std::string& component) {
  const bool transformers = component.find("text_encoder") != std::string::npos ||
                            component.ends_with("image_encoder") || component == "safety_checker";
  return transformers ? "model" : "diffusion_pytorch_model";
}

}  // namespace

const SingleFile& SingleFile::of(const TensorMap& tensors, const std::string& origin) {
  const auto kind = std::ranges::find_if(single_files(), [&](const SingleFile& row) {
    const auto found = tensors.lower_bound(row.mark);
    return found != tensors.end() && found->first.starts_with(row.mark);
  });
  if (kind == single_files().end()) {
    fail(
        Kind::invalid_argument,
        "{} is no checkpoint of Stable Diffusion 1, 2 or XL with its text encoders in it (it "
        "begins with {}); a single component belongs into a folder in diffusers' layout, a LoRA to "
        "--lora",
        origin, tensors.empty() ? "nothing" : tensors.begin()->first);
  }
  const auto conv_in = tensors.find("model.diffusion_model.input_blocks.0.0.weight");
  if (conv_in != tensors.end() && conv_in->second.dim() == 4 && conv_in->second.size(1) != 4) {
    fail(Kind::invalid_argument,
         "{} is a model for inpainting or the like: its UNet takes {} channels, expected the 4 of "
         "latents",
         origin, conv_in->second.size(1));
  }
  return *kind;
}

void SingleFile::check(const TensorMap& tensors, const std::string& origin) const {
  std::vector<std::string> unknown;
  for (const auto& [key, tensor] : tensors) {
    const bool known = std::ranges::any_of(
        parts, [&](const SingleFilePart& part) { return key.starts_with(part.prefix); });
    if (!known && !superfluous(key)) {
      unknown.push_back(key);
    }
  }
  if (!unknown.empty()) {
    const std::size_t count = unknown.size();
    unknown.resize(std::min<std::size_t>(count, 8));
    fail(Kind::corrupt, "{} has {} keys that a checkpoint like {} has not: {}{}", origin, count,
         configs, fmt::join(unknown, ", "), count > unknown.size() ? ", …" : "");
  }
  for (const SingleFilePart& part : parts) {
    const auto found = tensors.lower_bound(part.prefix);
    if (found == tensors.end() || !found->first.starts_with(part.prefix)) {
      fail(Kind::corrupt, "{} has no {} (keys that begin with {})", origin, part.component,
           part.prefix);
    }
  }
}

TensorMap SingleFile::component(const TensorMap& tensors, const std::string& name) const {
  const auto part = std::ranges::find(parts, name, &SingleFilePart::component);
  if (part == parts.end()) {
    fail(Kind::not_found, "a checkpoint like {} has no {}", configs, name);
  }
  TensorMap own;
  const std::string prefix = part->prefix;
  for (auto found = tensors.lower_bound(prefix);
       found != tensors.end() && found->first.starts_with(prefix); ++found) {
    if (!superfluous(found->first)) {
      own[found->first.substr(prefix.size())] = found->second;
    }
  }
  return part->layout(std::move(own));
}

Checkpoint::Checkpoint(const fs::path& path) : path_(path), configs_(path) {
  if (fs::is_regular_file(path / "model_index.json")) {
    components_ = components_of(read_config(path / "model_index.json"));
    return;
  }
  refuse_pickle(path);
  if (!fs::is_regular_file(path)) {
    fail(Kind::not_found,
         "{} is neither a folder with model_index.json nor a .safetensors file of a whole model",
         path.string());
  }
  const TensorMap tensors = load_tensors(path);
  single_ = &SingleFile::of(tensors, path.string());
  single_->check(tensors, path.string());
  configs_ = home() / "data" / "models" / single_->configs;
  v_prediction_ = tensors.contains("v_pred");
  zero_snr_ = tensors.contains("ztsnr");
  for (const SingleFilePart& part : single_->parts) {
    components_.emplace_back(part.component);
  }
}

bool Checkpoint::has(const std::string& component) const {
  return std::ranges::find(components_, component) != components_.end();
}

nlohmann::json Checkpoint::config(const std::string& component) const {
  const bool scheduler = component.ends_with("scheduler");
  nlohmann::json config =
      read_config(configs_ / component / (scheduler ? "scheduler_config.json" : "config.json"));
  if (scheduler && v_prediction_) {
    config["prediction_type"] = "v_prediction";
  }
  if (scheduler && zero_snr_) {
    config["rescale_betas_zero_snr"] = true;
  }
  return config;
}

Weights Checkpoint::weights(const std::string& component, at::ScalarType dtype) const {
  if (single_ == nullptr) {
    return Weights::mapped(weight_files(path_ / component, stem_of(component)), dtype,
                           early_attention_names);
  }
  return Weights::mapped({path_}, dtype, [&](const TensorMap& tensors) {
    return single_->component(tensors, component);
  });
}

}  // namespace longhand
