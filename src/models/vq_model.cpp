#include "models/vq_model.h"

#include "core/error.h"
#include "models/config.h"
#include "models/strips.h"

namespace longhand {

VQModelConfig VQModelConfig::from_json(const nlohmann::json& config) {
  refuse_other_values(config, "VQModel", {{"lookup_from_codebook", false}});
  VQModelConfig c;
  c.latent_channels = 3;
  c.read(config);
  c.num_vq_embeddings = config_value(config, "num_vq_embeddings", c.num_vq_embeddings);
  c.vq_embed_dim = config_value(config, "vq_embed_dim", c.latent_channels);
  if (c.norm_type == "spatial" && c.vq_embed_dim != c.latent_channels) {
    fail(Kind::corrupt,
         "VQModel's norms are conditioned on {} latent_channels and vq_embed_dim is {}; they must "
         "agree",
         c.latent_channels, c.vq_embed_dim);
  }
  return c;
}

VQModel::VQModel(Weights& weights, const VQModelConfig& config)
    : config_(config),
      encoder_(Scope(weights) / "encoder", config, config.latent_channels),
      quant_conv_(Scope(weights) / "quant_conv", config.latent_channels, config.vq_embed_dim, 1),
      codebook_(weights.take("quantize.embedding.weight",
                             {config.num_vq_embeddings, config.vq_embed_dim}, Init::normal)),
      post_quant_conv_(Scope(weights) / "post_quant_conv", config.vq_embed_dim,
                       config.latent_channels, 1),
      decoder_(Scope(weights) / "decoder", config) {
  weights.finish("VQModel");
}

Tensor VQModel::encode(const Tensor& pictures) const {
  return quant_conv_.forward(encoded_within_memory(encoder_, config_, pictures));
}

Tensor VQModel::quantized(const Tensor& latents) const {
  const Tensor positions = latents.permute({0, 2, 3, 1});
  const Tensor distances = at::cdist(positions.reshape({-1, config_.vq_embed_dim}).to(at::kFloat),
                                     codebook_.to(at::kFloat));
  return at::embedding(codebook_, distances.argmin(1))
      .view(positions.sizes())
      .permute({0, 3, 1, 2});
}

Tensor VQModel::decode(const Tensor& latents) const {
  return decoded_within_memory(decoder_, config_, post_quant_conv_.forward(latents), latents);
}

std::int64_t VQModel::least_bytes(std::int64_t height, std::int64_t width,
                                  at::ScalarType dtype) const {
  return decoding_bytes(config_, height, width, dtype).in_strips;
}

}  // namespace longhand
