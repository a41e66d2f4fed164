// A published model as it lies on disk, whatever its layout: a folder in diffusers' layout, or one
// safetensors file in the original layout of Stable Diffusion 1, 2 and XL or of SDEdit's models.
// Either way its parts have diffusers' names ("unet", "vae", "text_encoder", "text_encoder_2"),
// configs and keys.
#pragma once

#include <map>
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
  /// Where models of this kind were published with both prediction types: a weight that is spread
  /// more widely in those of v-prediction. Else null.
  const char* prediction_mark = nullptr;
  const char* note = nullptr;  // what a person should know of such files

  /// The kind of a file by its keys. Throws invalid_argument where it is none, or a model for
  /// inpainting or the like, whose first convolution takes more than latents; `origin` is its path.
  static const SingleFile& of(const TensorMap& tensors, const std::string& origin);
  /// Throws corrupt, listing the keys that belong to no part and are not known to be superfluous
  /// (the training's average, schedules, position ids…), or naming a part that is missing.
  void check(const TensorMap& tensors, const std::string& origin) const;
  /// A component's tensors under diffusers' names.
  TensorMap component(const TensorMap& tensors, const std::string& name) const;
};

/// What a model predicts ("epsilon", "v_prediction"; "" where nothing says so) and what tells it.
struct PredictionType {
  std::string name, reason;
};

/// Of a single file, in this order: its key v_pred; its metadata by Stability AI's ModelSpec
/// (modelspec.prediction_type); and for kinds with a `mark` the training steps of Stable Diffusion
/// 2 base (diffusers' _legacy_load_scheduler) and the mark's spread (ComfyUI's SD20.model_type).
PredictionType prediction_of(const TensorMap& tensors,
                             const std::map<std::string, std::string>& metadata, const char* mark);

/// What a person says of a checkpoint that its files do not.
struct CheckpointOptions {
  fs::path config = {};              // a folder with the configs that a single file is read with
  std::string prediction_type = {};  // epsilon, v_prediction or sample, in place of the configs'
};

class Checkpoint {
 public:
  /// `path`: a folder with model_index.json, or a .safetensors file whose kind its keys tell.
  /// What is assumed of a single file is logged, with what overrides it. Throws not_found;
  /// invalid_argument for pickles, for layouts that are not known and for options that do not
  /// apply; corrupt, listing keys without a meaning.
  explicit Checkpoint(const fs::path& path, const CheckpointOptions& options = {});

  /// The names of what it has weights for, of a folder all that model_index.json names.
  const std::vector<std::string>& components() const { return components_; }
  bool has(const std::string& component) const;
  /// COMPONENT/config.json, or scheduler_config.json for a scheduler. For a single file those of
  /// the published model of its kind (data/models) or of the options' folder, with what its own
  /// keys say: ztsnr marks the rescaled schedule, prediction_of() tells the prediction type.
  nlohmann::json config(const std::string& component) const;
  /// As it was given: a folder or a file.
  const fs::path& path() const { return path_; }
  /// The folder that has the configs, with model_index.json.
  const fs::path& configs() const { return configs_; }
  /// A component's weights under diffusers' names, in the placement that Weights::mapped() takes.
  /// Throws not_found, corrupt.
  Weights weights(const std::string& component, const at::TensorOptions& placement) const;

 private:
  void read_single_file(const CheckpointOptions& options);

  fs::path path_, configs_;
  std::vector<std::string> components_;
  const SingleFile* single_ = nullptr;  // the row of a single file's kind
  std::string prediction_type_;         // "": the configs'
  bool zero_snr_ = false;
  int sample_size_ = 0;  // of the UNet; 0: the configs'
};

/// A component's network. Throws not_found, corrupt, naming the file.
template <class Model, class Config>
Model load_component(const Checkpoint& checkpoint, const std::string& component,
                     const at::TensorOptions& placement) {
  Weights weights = checkpoint.weights(component, placement);
  return Model(weights, Config::from_json(checkpoint.config(component)));
}

}  // namespace longhand
