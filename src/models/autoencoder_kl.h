// AutoencoderKL: pictures [batch, 3, H, W] in -1…1 ↔ latents [batch, latent_channels, H/f, W/f],
// f = 2^(blocks - 1) (diffusers AutoencoderKL; Rombach et al. 2022).
#pragma once

#include "models/autoencoder.h"
#include "models/vae.h"

namespace longhand {

struct AutoencoderKLConfig : VaeConfig {
  double scaling_factor = 0.18215;
  double shift_factor = 0;
  bool use_quant_conv = true;
  bool use_post_quant_conv = true;

  static AutoencoderKLConfig from_json(const nlohmann::json& config);
};

class AutoencoderKL : public Autoencoder {
 public:
  AutoencoderKL(Weights& weights, const AutoencoderKLConfig& config);

  /// Mean and log-variance [batch, latent_channels, H/f, W/f] of the latents, not yet scaled; the
  /// log-variance is clamped to -30…20.
  std::pair<Tensor, Tensor> encode(const Tensor& pictures) const;
  /// Latents (not scaled) → pictures, about -1…1.
  Tensor decode(const Tensor& latents) const;

  Tensor latents_of(const Tensor& pictures) const override;
  Tensor sampled_latents_of(const Tensor& pictures, const Draw& draw) const override;
  Tensor pictures_of(const Tensor& latents) const override;
  int factor() const override { return config_.factor(); }
  int latent_channels() const override { return config_.latent_channels; }
  std::int64_t least_bytes(std::int64_t height, std::int64_t width,
                           at::ScalarType dtype) const override;

 private:
  AutoencoderKLConfig config_;
  VaeEncoder encoder_;
  VaeDecoder decoder_;
  std::optional<Conv2d> quant_conv_, post_quant_conv_;
};

}  // namespace longhand
