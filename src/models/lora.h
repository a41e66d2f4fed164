// Adaptations of low rank (LoRA; Hu et al. 2021) and their convolutions (LoCon), as published for
// Stable Diffusion: added to a model's weights when these are taken.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/files.h"
#include "nn/weights.h"

namespace longhand {

/// One key of a LoRA: which part of which module of which component it is.
struct LoraKey {
  std::string component;  // "unet", "text_encoder", "text_encoder_2"
  std::string module;     // with underscores for dots: "mid_block_attentions_0_proj_in"
  std::string part;       // "up", "down", "mid", "alpha"

  /// Understands the layouts of PEFT (unet.….lora_A.weight), diffusers (lora.down, _lora.down of
  /// attention processors, lora_linear_layer.down) and kohya's scripts (lora_unet_…, lora_te1_…);
  /// none for other keys.
  static std::optional<LoraKey> parse(const std::string& key);
};

class Lora {
 public:
  /// A safetensors file, or a folder with pytorch_lora_weights.safetensors or
  /// adapter_model.safetensors; alpha comes from the file, its metadata or the adapter_config.json
  /// beside it. `weight`: how much of it is added. Throws not_found; invalid_argument for pickles;
  /// corrupt, listing keys that are no LoRA's (DoRA, LoHa and LoKr are other methods).
  static Lora load(const fs::path& path, double weight = 1);

  /// Adds to the weights of a model's components, by name, before networks take them. Throws
  /// corrupt, listing the modules that found no weight or one of another shape: a LoRA for another
  /// model.
  void add_to(const std::map<std::string, Weights*>& components) const;

 private:
  struct Module {
    std::string component, name;
    LowRank delta;  // its scale is that of the whole LoRA
    std::optional<double> alpha;
  };
  double scale_of(const Module& module, const std::string& path) const;

  fs::path path_;
  std::vector<Module> modules_;
  std::map<std::string, nlohmann::json> settings_;  // PEFT's configuration of each component
};

}  // namespace longhand
