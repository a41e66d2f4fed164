// Which autoencoder stands between a model's latents and pictures: its own, another that is asked
// for, or a tiny one that was trained on the same latents (TAESD; diffusers AutoencoderTiny).
#pragma once

#include <memory>

#include "models/autoencoder.h"
#include "pipeline/diffusion_model.h"

namespace longhand {

/// The model's own component, options.vae or, with options.tiny_vae, tiny_autoencoder(). Throws
/// not_found, with the command that gets it.
std::shared_ptr<const Autoencoder> painting_autoencoder(const Checkpoint& checkpoint,
                                                        const std::string& component,
                                                        const ModelOptions& options);

/// Its factor, as its config tells.
int painting_factor(const Checkpoint& checkpoint, const std::string& component,
                    const ModelOptions& options);

/// What previews are decoded with: the same where it is small, else tiny_autoencoder(). Null
/// without options.previews.
std::shared_ptr<const Autoencoder> preview_autoencoder(
    const Checkpoint& checkpoint, const std::string& component, const ModelOptions& options,
    const std::shared_ptr<const Autoencoder>& painting);

/// The catalogue's name of the tiny autoencoder for the latents of another one, which is told by
/// its config.json. Throws invalid_argument where none is known.
std::string tiny_autoencoder(const nlohmann::json& config);

/// Latents [n, channels, h, w] → pictures, decoded in a placement. Throws internal where there is
/// no autoencoder.
at::Tensor decoded(const std::shared_ptr<const Autoencoder>& autoencoder, const at::Tensor& latents,
                   const at::TensorOptions& placement);

}  // namespace longhand
