// VQModel: pictures [batch, 3, H, W] in -1…1 ↔ latents [batch, vq_embed_dim, H/f, W/f] (diffusers
// VQModel; Esser et al. 2021). With norm_type "spatial" it is MoVQ (Zheng et al. 2022), Kandinsky's
// autoencoder: the latents condition each norm of the decoder.
#pragma once

#include "models/autoencoder.h"
#include "models/vae.h"

namespace longhand {

struct VQModelConfig : VaeConfig {
  int num_vq_embeddings = 256;
  int vq_embed_dim = 3;  // latent_channels where the config does not say

  static VQModelConfig from_json(const nlohmann::json& config);
};

class VQModel : public Autoencoder {
 public:
  VQModel(Weights& weights, const VQModelConfig& config);

  /// Latents, not quantized.
  Tensor encode(const Tensor& pictures) const;
  /// Each position's latents → the nearest of the codebook's vectors.
  Tensor quantized(const Tensor& latents) const;
  /// Latents, quantized or not → pictures, about -1…1. Not quantizing first is diffusers'
  /// force_not_quantize, with which Kandinsky's pipelines decode.
  Tensor decode(const Tensor& latents) const;

  /// Kandinsky's denoiser takes the latents as they are, whatever scaling_factor the config has.
  Tensor latents_of(const Tensor& pictures) const override { return encode(pictures); }
  Tensor pictures_of(const Tensor& latents) const override { return decode(latents); }
  int factor() const override { return config_.factor(); }
  int latent_channels() const override { return config_.vq_embed_dim; }
  std::int64_t least_bytes(std::int64_t height, std::int64_t width,
                           at::ScalarType dtype) const override;

 private:
  VQModelConfig config_;
  VaeEncoder encoder_;
  Conv2d quant_conv_;
  Tensor codebook_;  // [num_vq_embeddings, vq_embed_dim]
  Conv2d post_quant_conv_;
  VaeDecoder decoder_;
};

}  // namespace longhand
