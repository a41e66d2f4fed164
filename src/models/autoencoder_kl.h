// AutoencoderKL: pictures [batch, 3, H, W] in -1…1 ↔ latents [batch, latent_channels, H/f, W/f],
// f = 2^(blocks - 1) (diffusers AutoencoderKL; Rombach et al. 2022).
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "models/autoencoder.h"
#include "models/blocks.h"

namespace longhand {

struct AutoencoderKLConfig {
  int in_channels = 3;
  int out_channels = 3;
  std::vector<int> block_out_channels = {64};
  int layers_per_block = 1;
  int latent_channels = 4;
  int norm_num_groups = 32;
  double scaling_factor = 0.18215;
  double shift_factor = 0;
  bool mid_block_add_attention = true;
  bool use_quant_conv = true;
  bool use_post_quant_conv = true;

  static AutoencoderKLConfig from_json(const nlohmann::json& config);
  int factor() const { return 1 << (block_out_channels.size() - 1); }
};

/// One head over all positions, around a residual.
struct VaeAttention {
  VaeAttention(const Scope& scope, int channels, int groups);
  Tensor forward(const Tensor& x) const;

  GroupNorm group_norm;
  CrossAttention core;
};

struct VaeMidBlock {
  VaeMidBlock(const Scope& scope, const AutoencoderKLConfig& config);
  Tensor forward(const Tensor& x) const;

  ResnetBlock2D first;
  std::optional<VaeAttention> attention;
  ResnetBlock2D second;
};

/// Residual blocks, then a change of resolution (none at the last level).
struct VaeLevel {
  std::vector<ResnetBlock2D> resnets;
  std::optional<Downsample2D> downsample;
  std::optional<Upsample2D> upsample;
};

struct VaeEncoder {
  VaeEncoder(const Scope& scope, const AutoencoderKLConfig& config);
  Tensor forward(const Tensor& pictures) const;

  Conv2d conv_in;
  std::vector<VaeLevel> down_blocks;
  VaeMidBlock mid_block;
  GroupNorm conv_norm_out;
  Conv2d conv_out;
};

struct VaeDecoder {
  VaeDecoder(const Scope& scope, const AutoencoderKLConfig& config);
  Tensor forward(const Tensor& latents) const;

  Conv2d conv_in;
  VaeMidBlock mid_block;
  std::vector<VaeLevel> up_blocks;
  GroupNorm conv_norm_out;
  Conv2d conv_out;
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
  Tensor pictures_of(const Tensor& latents) const override;
  int factor() const override { return config_.factor(); }
  int latent_channels() const override { return config_.latent_channels; }

 private:
  AutoencoderKLConfig config_;
  VaeEncoder encoder_;
  VaeDecoder decoder_;
  std::optional<Conv2d> quant_conv_, post_quant_conv_;
};

}  // namespace longhand
