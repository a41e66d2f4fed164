#include "models/checkpoint.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <regex>

#include "core/error.h"
#include "core/log.h"
#include "io/safetensors.h"
#include "models/checkpoint_files.h"
#include "models/checkpoint_layouts.h"
#include "models/config.h"

namespace longhand {
namespace {

constexpr const char* epsilon = "epsilon";
constexpr const char* v_prediction = "v_prediction";

// Stable Diffusion 2 was published twice: a base that predicts the noise in 512×512, and one for
// 768×768 that was trained on from it to predict v.
constexpr int steps_of_base = 875000;
constexpr int sample_size_of_base = 64;
constexpr double largest_spread_of_epsilon = 0.09;

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
        {"text_encoder_2", "conditioner.embedders.1.model.", open_clip_text}},
       nullptr,
       "SDXL Turbo's have the same keys: --config sdxl-turbo"},
      {"conditioner.embedders.0.model.",
       "stable-diffusion-xl-refiner-1.0",
       {unet, vae, {"text_encoder_2", "conditioner.embedders.0.model.", open_clip_text}}},
      {"cond_stage_model.model.",
       "stable-diffusion-2-1",
       {unet, vae, {"text_encoder", "cond_stage_model.model.", open_clip_text_penultimate}},
       "model.diffusion_model.output_blocks.11.1.transformer_blocks.0.norm1.bias"},
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

PredictionType prediction_of(const TensorMap& tensors,
                             const std::map<std::string, std::string>& metadata, const char* mark) {
  if (tensors.contains("v_pred")) {
    return {v_prediction, "it has the key v_pred"};
  }
  if (const auto found = metadata.find("modelspec.prediction_type"); found != metadata.end()) {
    const std::string said = "its metadata says " + found->second;
    if (found->second == "v" || found->second == v_prediction) {
      return {v_prediction, said};
    }
    if (found->second == epsilon) {
      return {epsilon, said};
    }
  }
  if (mark == nullptr) {
    return {};
  }
  if (const auto steps = tensors.find("global_step");
      steps != tensors.end() && steps->second.numel() == 1 &&
      steps->second.to(at::kLong).item<std::int64_t>() == steps_of_base) {
    return {epsilon, fmt::format("it was trained for {} steps, as the base was", steps_of_base)};
  }
  const auto found = tensors.find(mark);
  if (found == tensors.end()) {
    return {};
  }
  const double spread = at::std(found->second.to(at::kDouble), false).item<double>();
  return {spread > largest_spread_of_epsilon ? v_prediction : epsilon,
          fmt::format("its weights look so: {} is spread by {:.3f}, beyond {} where it is v", mark,
                      spread, largest_spread_of_epsilon)};
}

Checkpoint::Checkpoint(const fs::path& path, const CheckpointOptions& options)
    : path_(path), configs_(path), prediction_type_(options.prediction_type) {
  if (!prediction_type_.empty() && prediction_type_ != epsilon &&
      prediction_type_ != v_prediction && prediction_type_ != "sample") {
    fail(Kind::invalid_argument, "--prediction-type {}: expected epsilon, v_prediction or sample",
         prediction_type_);
  }
  if (fs::is_regular_file(path / "model_index.json")) {
    components_ = components_of(read_config(path / "model_index.json"));
    if (!options.config.empty()) {
      fail(Kind::invalid_argument,
           "{} has its own configs; --config is for single .safetensors files", path.string());
    }
    if (!prediction_type_.empty() && !has("scheduler")) {
      fail(Kind::invalid_argument,
           "--prediction-type: {} has several schedulers, each with its own; leave it out",
           path.string());
    }
    return;
  }
  read_single_file(options);
}

void Checkpoint::read_single_file(const CheckpointOptions& options) {
  const fs::path& path = path_;
  refuse_pickle(path);
  if (!fs::is_regular_file(path)) {
    fail(Kind::not_found,
         "{} is neither a folder with model_index.json nor a .safetensors file of a whole model",
         path.string());
  }
  const TensorMap tensors = load_tensors(path);
  single_ = &SingleFile::of(tensors, path.string());
  single_->check(tensors, path.string());
  const bool named = !options.config.empty();
  configs_ = named ? options.config : home() / "data" / "models" / single_->configs;
  zero_snr_ = tensors.contains("ztsnr");
  if (prediction_type_.empty()) {
    const PredictionType told =
        prediction_of(tensors, Safetensors(path).metadata(), single_->prediction_mark);
    prediction_type_ = told.name;
    const char* note = named ? nullptr : single_->note;
    spdlog::info(
        "{}: read as {}{}{}; --config and --prediction-type say otherwise", path.string(),
        configs_.filename().string(),
        told.name.empty() ? "" : fmt::format(", a model of {} ({})", told.name, told.reason),
        note == nullptr ? "" : fmt::format(" ({})", note));
  }
  if (single_->prediction_mark != nullptr && !named && prediction_type_ == epsilon) {
    sample_size_ = sample_size_of_base;
  }
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
  if (component == "scheduler" && !prediction_type_.empty()) {
    config["prediction_type"] = prediction_type_;
  }
  if (component == "unet" && sample_size_ > 0) {
    config["sample_size"] = sample_size_;
  }
  if (scheduler && zero_snr_) {
    config["rescale_betas_zero_snr"] = true;
  }
  return config;
}

Weights Checkpoint::weights(const std::string& component,
                            const at::TensorOptions& placement) const {
  if (single_ == nullptr) {
    return Weights::mapped(weight_files(path_ / component, stem_of(component)), placement,
                           early_attention_names);
  }
  return Weights::mapped({path_}, placement, [&](const TensorMap& tensors) {
    return single_->component(tensors, component);
  });
}

}  // namespace longhand
