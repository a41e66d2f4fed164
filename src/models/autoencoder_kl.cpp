#include "models/autoencoder_kl.h"

#include "core/error.h"
#include "models/config.h"

namespace longhand {
namespace {

constexpr double epsilon = 1e-6;

ResnetBlock2D resnet(const Scope& scope, int in, int out, const AutoencoderKLConfig& config) {
  return ResnetBlock2D(scope, in, out, 0, config.norm_num_groups, epsilon);
}

}  // namespace

AutoencoderKLConfig AutoencoderKLConfig::from_json(const nlohmann::json& config) {
  AutoencoderKLConfig c;
  c.in_channels = config_value(config, "in_channels", c.in_channels);
  c.out_channels = config_value(config, "out_channels", c.out_channels);
  c.block_out_channels = config_value(config, "block_out_channels", c.block_out_channels);
  c.layers_per_block = config_value(config, "layers_per_block", c.layers_per_block);
  c.latent_channels = config_value(config, "latent_channels", c.latent_channels);
  c.norm_num_groups = config_value(config, "norm_num_groups", c.norm_num_groups);
  c.scaling_factor = config_value(config, "scaling_factor", c.scaling_factor);
  c.shift_factor = config_value(config, "shift_factor", c.shift_factor);
  c.mid_block_add_attention =
      config_value(config, "mid_block_add_attention", c.mid_block_add_attention);
  c.use_quant_conv = config_value(config, "use_quant_conv", c.use_quant_conv);
  c.use_post_quant_conv = config_value(config, "use_post_quant_conv", c.use_post_quant_conv);
  if (c.block_out_channels.empty() || c.block_out_channels.size() > 8) {
    fail(Kind::corrupt, "block_out_channels has {} levels; expected 1 to 8",
         c.block_out_channels.size());
  }
  return c;
}

VaeAttention::VaeAttention(const Scope& scope, int channels, int groups)
    : group_norm(scope / "group_norm", groups, channels, epsilon),
      core(scope, channels, channels, 1, true) {}

Tensor VaeAttention::forward(const Tensor& x) const {
  const Tensor tokens = group_norm.forward(x).flatten(2).transpose(1, 2).contiguous();
  return x + core.forward(tokens, tokens).transpose(1, 2).reshape(x.sizes());
}

VaeMidBlock::VaeMidBlock(const Scope& scope, const AutoencoderKLConfig& config)
    : first(resnet(scope / "resnets" / 0, config.block_out_channels.back(),
                   config.block_out_channels.back(), config)),
      second(resnet(scope / "resnets" / 1, config.block_out_channels.back(),
                    config.block_out_channels.back(), config)) {
  if (config.mid_block_add_attention) {
    attention.emplace(scope / "attentions" / 0, config.block_out_channels.back(),
                      config.norm_num_groups);
  }
}

Tensor VaeMidBlock::forward(const Tensor& x) const {
  Tensor h = first.forward(x, {});
  if (attention) {
    h = attention->forward(h);
  }
  return second.forward(h, {});
}

VaeEncoder::VaeEncoder(const Scope& scope, const AutoencoderKLConfig& config)
    : conv_in(scope / "conv_in", config.in_channels, config.block_out_channels.front(), 3, 1, 1),
      mid_block(scope / "mid_block", config),
      conv_norm_out(scope / "conv_norm_out", config.norm_num_groups,
                    config.block_out_channels.back(), epsilon),
      conv_out(scope / "conv_out", config.block_out_channels.back(), 2 * config.latent_channels, 3,
               1, 1) {
  int in = config.block_out_channels.front();
  const int levels = static_cast<int>(config.block_out_channels.size());
  for (int i = 0; i < levels; ++i) {
    const Scope block = scope / "down_blocks" / i;
    const int out = config.block_out_channels[i];
    VaeLevel level;
    for (int j = 0; j < config.layers_per_block; ++j) {
      level.resnets.push_back(resnet(block / "resnets" / j, j == 0 ? in : out, out, config));
    }
    if (i + 1 < levels) {
      level.downsample.emplace(block / "downsamplers" / 0, out, true);
    }
    down_blocks.push_back(std::move(level));
    in = out;
  }
}

Tensor VaeEncoder::forward(const Tensor& pictures) const {
  Tensor h = conv_in.forward(pictures);
  for (const VaeLevel& level : down_blocks) {
    for (const ResnetBlock2D& block : level.resnets) {
      h = block.forward(h, {});
    }
    if (level.downsample) {
      h = level.downsample->forward(h);
    }
  }
  return conv_out.forward(at::silu(conv_norm_out.forward(mid_block.forward(h))));
}

VaeDecoder::VaeDecoder(const Scope& scope, const AutoencoderKLConfig& config)
    : conv_in(scope / "conv_in", config.latent_channels, config.block_out_channels.back(), 3, 1, 1),
      mid_block(scope / "mid_block", config),
      conv_norm_out(scope / "conv_norm_out", config.norm_num_groups,
                    config.block_out_channels.front(), epsilon),
      conv_out(scope / "conv_out", config.block_out_channels.front(), config.out_channels, 3, 1,
               1) {
  int in = config.block_out_channels.back();
  const int levels = static_cast<int>(config.block_out_channels.size());
  for (int i = 0; i < levels; ++i) {
    const Scope block = scope / "up_blocks" / i;
    const int out = config.block_out_channels[levels - 1 - i];
    VaeLevel level;
    for (int j = 0; j < config.layers_per_block + 1; ++j) {
      level.resnets.push_back(resnet(block / "resnets" / j, j == 0 ? in : out, out, config));
    }
    if (i + 1 < levels) {
      level.upsample.emplace(block / "upsamplers" / 0, out);
    }
    up_blocks.push_back(std::move(level));
    in = out;
  }
}

Tensor VaeDecoder::forward(const Tensor& latents) const {
  Tensor h = mid_block.forward(conv_in.forward(latents));
  for (const VaeLevel& level : up_blocks) {
    for (const ResnetBlock2D& block : level.resnets) {
      h = block.forward(h, {});
    }
    if (level.upsample) {
      h = level.upsample->forward(h);
    }
  }
  return conv_out.forward(at::silu(conv_norm_out.forward(h)));
}

AutoencoderKL::AutoencoderKL(Weights& weights, const AutoencoderKLConfig& config)
    : config_(config),
      encoder_(Scope(weights) / "encoder", config),
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
  Tensor moments = encoder_.forward(pictures);
  if (quant_conv_) {
    moments = quant_conv_->forward(moments);
  }
  const auto halves = moments.chunk(2, 1);
  return {halves[0], halves[1].clamp(-30.0, 20.0)};
}

Tensor AutoencoderKL::decode(const Tensor& latents) const {
  return decoder_.forward(post_quant_conv_ ? post_quant_conv_->forward(latents) : latents);
}

Tensor AutoencoderKL::latents_of(const Tensor& pictures) const {
  return (encode(pictures).first - config_.shift_factor) * config_.scaling_factor;
}

Tensor AutoencoderKL::pictures_of(const Tensor& latents) const {
  return decode(latents / config_.scaling_factor + config_.shift_factor);
}

}  // namespace longhand
