#include "models/unet_2d.h"

#include "core/error.h"
#include "models/config.h"

namespace longhand {

UNet2DConfig UNet2DConfig::from_json(const nlohmann::json& config) {
  UNet2DConfig c;
  c.mid_block_type = "UNetMidBlock2D";
  if (config.contains("attention_head_dim") && config["attention_head_dim"].is_null()) {
    c.attention_head_dim = {0};
  }
  c.read(config);
  c.mid_block_add_attention = config_value(config, "add_attention", true);
  c.flip_sin_to_cos = config_value(config, "flip_sin_to_cos", c.flip_sin_to_cos);
  c.freq_shift = config_value(config, "freq_shift", c.freq_shift);
  c.sample_size = config_value(config, "sample_size", c.sample_size);
  for (const char* name : {"class_embed_type", "num_class_embeds"}) {
    if (config.contains(name) && !config[name].is_null()) {
      fail(Kind::corrupt, "UNet2DModel with {} is not supported", name);
    }
  }
  return c;
}

UNet2DModel::UNet2DModel(Weights& weights, const UNet2DConfig& config)
    : config_(config),
      time_embedding_(Scope(weights) / "time_embedding", config.block_out_channels[0],
                      config.block_out_channels[0] * 4),
      trunk_(Scope(weights), config, config.block_out_channels[0] * 4) {
  weights.finish("UNet2DModel");
}

Tensor UNet2DModel::forward(const Tensor& sample, const Tensor& timesteps) const {
  const Tensor sinusoids = timestep_embedding(timesteps, config_.block_out_channels[0],
                                              config_.flip_sin_to_cos, config_.freq_shift)
                               .to(sample.scalar_type());
  Context none{Tensor()};
  return trunk_.forward(sample, at::silu(time_embedding_.forward(sinusoids)), none);
}

}  // namespace longhand
