// What a painter needs of any autoencoder, and the choice of class by a folder's config.json.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "core/files.h"
#include "models/checkpoint.h"
#include "nn/torch.h"

namespace longhand {

/// Pictures [batch, 3, H, W] in -1…1 ↔ latents [batch, latent_channels, H/factor, W/factor]. Where
/// memory is short, it takes a batch and a picture in parts (models/strips.h).
class Autoencoder {
 public:
  virtual ~Autoencoder() = default;
  /// The likeliest latents, scaled as the denoiser expects them.
  virtual at::Tensor latents_of(const at::Tensor& pictures) const = 0;
  /// Standard normal noise of a shape.
  using Draw = std::function<at::Tensor(at::IntArrayRef shape)>;
  /// Latents as training draws them: AutoencoderKL samples, the others have but one answer.
  virtual at::Tensor sampled_latents_of(const at::Tensor& pictures, const Draw& draw) const {
    return latents_of(pictures);
  }
  /// Scaled latents → pictures, about -1…1.
  virtual at::Tensor pictures_of(const at::Tensor& latents) const = 0;
  virtual int factor() const = 0;
  virtual int latent_channels() const = 0;
  /// What decoding one picture of this size takes at its peak, in bytes, in the way that takes
  /// least; the weights not counted.
  virtual std::int64_t least_bytes(std::int64_t height, std::int64_t width,
                                   at::ScalarType dtype) const = 0;
};

/// The factor of the autoencoder that a config.json describes; as below.
int autoencoder_factor(const nlohmann::json& config, const std::string& where);
/// The autoencoder that a config.json describes, with weights that outlive it; `where` names the
/// config in errors. Throws corrupt.
std::unique_ptr<Autoencoder> make_autoencoder(const nlohmann::json& config, Weights& weights,
                                              const std::string& where);
/// The autoencoder of a folder with config.json and diffusion_pytorch_model.safetensors:
/// AutoencoderKL, AutoencoderTiny or VQModel, by its _class_name. Throws not_found; corrupt, naming
/// the file and what does not fit.
std::unique_ptr<Autoencoder> load_autoencoder(const fs::path& folder,
                                              const at::TensorOptions& placement);
/// The same for a component of a model.
std::unique_ptr<Autoencoder> load_autoencoder(const Checkpoint& checkpoint,
                                              const std::string& component,
                                              const at::TensorOptions& placement);

}  // namespace longhand
