#include "models/vae.h"

#include "core/error.h"
#include "models/config.h"

namespace longhand {
namespace {

constexpr double epsilon = 1e-6;

/// The types of a level's blocks: `plain`, or `attentive`, which has attention.
void read_block_types(const nlohmann::json& config, const char* name, const std::string& plain,
                      const std::string& attentive, std::size_t levels,
                      std::vector<std::string>& types) {
  types = config_value(config, name, std::vector<std::string>(levels, plain));
  if (types.size() != levels) {
    fail(Kind::corrupt, "{} has {} blocks and block_out_channels {} levels; expected as many", name,
         types.size(), levels);
  }
  for (const std::string& type : types) {
    if (type != plain && type != attentive) {
      fail(Kind::corrupt, "{} has {}; expected {} or {}", name, type, plain, attentive);
    }
  }
}

/// The middle: two residual blocks with attention between them.
VaeLevel::Shape middle(const VaeConfig& config, int latent_channels) {
  const int channels = config.block_out_channels.back();
  return {channels, channels, 2, config.mid_block_add_attention ? 1 : 0, latent_channels};
}

/// Of the latents that condition the decoder's norms; 0 without such norms.
int conditioning_channels(const VaeConfig& config) {
  return config.norm_type == "spatial" ? config.latent_channels : 0;
}

}  // namespace

void VaeConfig::read(const nlohmann::json& config) {
  refuse_other_values(config, "the autoencoder", {{"act_fn", "silu"}});
  const auto take = [&](const char* name, auto& field) {
    field = config_value(config, name, field);
  };
  take("in_channels", in_channels);
  take("out_channels", out_channels);
  take("block_out_channels", block_out_channels);
  take("layers_per_block", layers_per_block);
  take("latent_channels", latent_channels);
  take("norm_num_groups", norm_num_groups);
  take("norm_type", norm_type);
  take("mid_block_add_attention", mid_block_add_attention);
  const std::size_t levels = block_out_channels.size();
  if (levels < 1 || levels > 8) {
    fail(Kind::corrupt, "block_out_channels has {} levels; expected 1 to 8", levels);
  }
  if (norm_type != "group" && norm_type != "spatial") {
    fail(Kind::corrupt, "norm_type {} is not known; expected group or spatial", norm_type);
  }
  read_block_types(config, "down_block_types", "DownEncoderBlock2D", "AttnDownEncoderBlock2D",
                   levels, down_block_types);
  read_block_types(config, "up_block_types", "UpDecoderBlock2D", "AttnUpDecoderBlock2D", levels,
                   up_block_types);
}

VaeLevel::VaeLevel(const Scope& scope, const Shape& shape, const VaeConfig& config) {
  for (int i = 0; i < shape.resnets; ++i) {
    resnets.emplace_back(scope / "resnets" / i, i == 0 ? shape.in : shape.out, shape.out,
                         ResnetBlock2D::Options{.groups = config.norm_num_groups,
                                                .epsilon = epsilon,
                                                .latent_channels = shape.latent_channels});
  }
  for (int i = 0; i < shape.attentions; ++i) {
    attentions.emplace_back(scope / "attentions" / i, shape.out, 1, config.norm_num_groups, epsilon,
                            shape.latent_channels);
  }
}

Tensor VaeLevel::forward(Tensor h, const Tensor& latents) const {
  for (std::size_t i = 0; i < resnets.size(); ++i) {
    h = resnets[i].forward(h, latents);
    if (i < attentions.size()) {
      h = attentions[i].forward(h, latents);
    }
  }
  if (downsample) {
    return downsample->forward(h);
  }
  return upsample ? upsample->forward(h) : h;
}

VaeEncoder::VaeEncoder(const Scope& scope, const VaeConfig& config, int out_channels)
    : conv_in(scope / "conv_in", config.in_channels, config.block_out_channels.front(), 3, 1, 1),
      mid_block(scope / "mid_block", middle(config, 0), config),
      conv_norm_out(scope / "conv_norm_out", config.norm_num_groups,
                    config.block_out_channels.back(), epsilon),
      conv_out(scope / "conv_out", config.block_out_channels.back(), out_channels, 3, 1, 1) {
  int in = config.block_out_channels.front();
  const int levels = static_cast<int>(config.block_out_channels.size());
  for (int i = 0; i < levels; ++i) {
    const Scope block = scope / "down_blocks" / i;
    const int out = config.block_out_channels[i], layers = config.layers_per_block;
    const bool attends = config.down_block_types[i] == "AttnDownEncoderBlock2D";
    VaeLevel& level = down_blocks.emplace_back(
        block, VaeLevel::Shape{in, out, layers, attends ? layers : 0, 0}, config);
    if (i + 1 < levels) {
      level.downsample.emplace(block / "downsamplers" / 0, out, true);
    }
    in = out;
  }
}

Tensor VaeEncoder::forward(const Tensor& pictures) const {
  Tensor h = conv_in.forward(pictures);
  for (const VaeLevel& level : down_blocks) {
    h = level.forward(std::move(h), {});
  }
  return conv_out.forward(conv_norm_out.activated(mid_block.forward(h, {})));
}

VaeDecoder::VaeDecoder(const Scope& scope, const VaeConfig& config)
    : conv_in(scope / "conv_in", config.latent_channels, config.block_out_channels.back(), 3, 1, 1),
      mid_block(scope / "mid_block", middle(config, conditioning_channels(config)), config),
      conv_norm_out(scope / "conv_norm_out", config.norm_num_groups,
                    config.block_out_channels.front(), epsilon, conditioning_channels(config)),
      conv_out(scope / "conv_out", config.block_out_channels.front(), config.out_channels, 3, 1,
               1) {
  int in = config.block_out_channels.back();
  const int levels = static_cast<int>(config.block_out_channels.size());
  for (int i = 0; i < levels; ++i) {
    const Scope block = scope / "up_blocks" / i;
    const int out = config.block_out_channels[levels - 1 - i], layers = config.layers_per_block + 1;
    const bool attends = config.up_block_types[i] == "AttnUpDecoderBlock2D";
    VaeLevel& level = up_blocks.emplace_back(
        block,
        VaeLevel::Shape{in, out, layers, attends ? layers : 0, conditioning_channels(config)},
        config);
    if (i + 1 < levels) {
      level.upsample.emplace(block / "upsamplers" / 0, out);
    }
    in = out;
  }
}

Tensor VaeDecoder::forward(const Tensor& z, const Tensor& latents) const {
  Tensor h = mid_block.forward(conv_in.forward(z), latents);
  for (const VaeLevel& level : up_blocks) {
    h = level.forward(std::move(h), latents);
  }
  return conv_out.forward(conv_norm_out.activated(h, latents));
}

}  // namespace longhand
