// A published model as it lies on disk, whatever its layout: a folder in diffusers' layout, or one
// safetensors file in the original layout of Stable Diffusion 1, 2 and XL or of SDEdit's models.
// Either way its parts have diffusers' names ("unet", "vae", "text_encoder", "text_encoder_2"),
// configs and keys.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/files.h"
#include "nn/weights.h"

namespace longhand {

/// A component of a single-file checkpoint: the keys that begin with `prefix` are its own.
struct SingleFilePart {
  const char* component;
  const char* prefix;
  TensorMap (*layout)(TensorMap);
};

/// A kind of single-file checkpoint, told by a key that begins with `mark`.
struct SingleFile {
  const char* mark;
  const char* configs;  // the folder in data/models
  std::vector<SingleFilePart> parts;

  /// The kind of a file by its keys. Throws invalid_argument where it is none, or a model for
  /// inpainting or the like, whose first convolution takes more than latents; `origin` is its path.
  static const SingleFile& of(const TensorMap& tensors, const std::string& origin);
  /// Throws corrupt, listing the keys that belong to no part and are not known to be superfluous
  /// (the training's average, schedules, position ids…), or naming a part that is missing.
  void check(const TensorMap& tensors, const std::string& origin) const;
  /// A component's tensors under diffusers' names.
  TensorMap component(const TensorMap& tensors, const std::string& name) const;
};

class Checkpoint {
 public:
  /// `path`: a folder with model_index.json, or a .safetensors file whose kind its keys tell.
  /// Throws not_found; invalid_argument for pickles and for layouts that are not known; corrupt,
  /// listing keys without a meaning.
  explicit Checkpoint(const fs::path& path);

  /// The names of what it has weights for, of a folder all that model_index.json names.
  const std::vector<std::string>& components() const { return components_; }
  bool has(const std::string& component) const;
  /// COMPONENT/config.json, or scheduler_config.json for a scheduler. For a single file those of
  /// the published model of its kind (data/models), with what its own keys say: v_pred and ztsnr
  /// mark the prediction type and the rescaled schedule.
  nlohmann::json config(const std::string& component) const;
  /// The folder that has the configs, with model_index.json.
  const fs::path& configs() const { return configs_; }
  /// A component's weights under diffusers' names. Throws not_found, corrupt.
  Weights weights(const std::string& component, at::ScalarType dtype) const;

 private:
  fs::path path_, configs_;
  std::vector<std::string> components_;
  const SingleFile* single_ = nullptr;  // the row of a single file's kind
  bool v_prediction_ = false, zero_snr_ = false;
};

/// A component's network. Throws not_found, corrupt, naming the file.
template <class Model, class Config>
Model load_component(const Checkpoint& checkpoint, const std::string& component,
                     at::ScalarType dtype) {
  Weights weights = checkpoint.weights(component, dtype);
  return Model(weights, Config::from_json(checkpoint.config(component)));
}

}  // namespace longhand
