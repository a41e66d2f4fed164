#include "models/autoencoder_kl.h"

#include "models/config.h"
#include "models/strips.h"

namespace longhand {

AutoencoderKLConfig AutoencoderKLConfig::from_json(const nlohmann::json& config) {
  refuse_other_values(config, "AutoencoderKL", {{"norm_type", "group"}});
  AutoencoderKLConfig c;
  c.read(config);
  c.scaling_factor = config_value(config, "scaling_factor", c.scaling_factor);
  c.shift_factor = config_value(config, "shift_factor", c.shift_factor);
  c.use_quant_conv = config_value(config, "use_quant_conv", c.use_quant_conv);
  c.use_post_quant_conv = config_value(config, "use_post_quant_conv", c.use_post_quant_conv);
  return c;
}

AutoencoderKL::AutoencoderKL(Weights& weights, const AutoencoderKLConfig& config)
    : config_(config),
      encoder_(Scope(weights) / "encoder", config, 2 * config.latent_channels),
      decoder_(Scope(weights) / "decoder", config) {
  if (config.use_quant_conv) {
    quant_conv_.emplace(Scope(weights) / "quant_conv", 2 * config.latent_channels,
                        2 * config.latent_channels, 1);
  }
  if (config.use_post_quant_conv) {
    post_quant_conv_.emplace(Scope(weights) / "post_quant_conv", config.latent_channels,
                             config.latent_channels, 1);
  }
  weights.finish("AutoencoderKL");
}

std::pair<Tensor, Tensor> AutoencoderKL::encode(const Tensor& pictures) const {
  Tensor moments = encoded_within_memory(encoder_, config_, pictures);
  if (quant_conv_) {
    moments = quant_conv_->forward(moments);
  }
  const auto halves = moments.chunk(2, 1);
  return {halves[0], halves[1].clamp(-30.0, 20.0)};
}

Tensor AutoencoderKL::decode(const Tensor& latents) const {
  const Tensor z = post_quant_conv_ ? post_quant_conv_->forward(latents) : latents;
  return decoded_within_memory(decoder_, config_, z, {});
}

std::int64_t AutoencoderKL::least_bytes(std::int64_t height, std::int64_t width,
                                        at::ScalarType dtype) const {
  return decoding_bytes(config_, height, width, dtype).in_strips;
}

Tensor AutoencoderKL::latents_of(const Tensor& pictures) const {
  return (encode(pictures).first - config_.shift_factor) * config_.scaling_factor;
}

Tensor AutoencoderKL::sampled_latents_of(const Tensor& pictures, const Draw& draw) const {
  const auto [mean, log_variance] = encode(pictures);
  const Tensor sample =
      mean + (0.5 * log_variance).exp() * draw(mean.sizes()).to(mean.scalar_type());
  return (sample - config_.shift_factor) * config_.scaling_factor;
}

Tensor AutoencoderKL::pictures_of(const Tensor& latents) const {
  return decode(latents / config_.scaling_factor + config_.shift_factor);
}

}  // namespace longhand
