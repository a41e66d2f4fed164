// The convolutional encoder and decoder that AutoencoderKL and VQModel share (diffusers Encoder and
// Decoder; Rombach et al. 2022).
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "models/attention.h"
#include "models/blocks.h"

namespace longhand {

struct VaeConfig {
  int in_channels = 3;
  int out_channels = 3;
  std::vector<int> block_out_channels = {64};
  /// A level: "DownEncoderBlock2D" and "UpDecoderBlock2D", or with attention after each residual
  /// block "AttnDownEncoderBlock2D" and "AttnUpDecoderBlock2D".
  std::vector<std::string> down_block_types = {"DownEncoderBlock2D"};
  std::vector<std::string> up_block_types = {"UpDecoderBlock2D"};
  int layers_per_block = 1;
  int latent_channels = 4;
  int norm_num_groups = 32;
  std::string norm_type = "group";  // of the decoder; "spatial": conditioned on the latents
  bool mid_block_add_attention = true;

  /// Throws corrupt for fields that do not agree, and for those that are not supported.
  void read(const nlohmann::json& config);
  /// f: sides of pictures are f times those of latents.
  int factor() const { return 1 << (block_out_channels.size() - 1); }
};

/// Residual blocks, the first of which may each be followed by attention, then a change of
/// resolution.
struct VaeLevel {
  struct Shape {
    int in, out;
    int resnets, attentions;
    int latent_channels;  // 0: norms are not conditioned on latents
  };
  VaeLevel(const Scope& scope, const Shape& shape, const VaeConfig& config);
  /// Takes h, so that it can be given up before the last map is made.
  Tensor forward(Tensor h, const Tensor& latents) const;

  std::vector<ResnetBlock2D> resnets;
  std::vector<SelfAttention2D> attentions;
  std::optional<Downsample2D> downsample;
  std::optional<Upsample2D> upsample;
};

/// Pictures [batch, in_channels, H, W] → [batch, out_channels, H/f, W/f].
struct VaeEncoder {
  VaeEncoder(const Scope& scope, const VaeConfig& config, int out_channels);
  Tensor forward(const Tensor& pictures) const;

  Conv2d conv_in;
  std::vector<VaeLevel> down_blocks;
  VaeLevel mid_block;
  GroupNorm conv_norm_out;
  Conv2d conv_out;
};

/// z [batch, latent_channels, H/f, W/f] → pictures [batch, out_channels, H, W].
struct VaeDecoder {
  VaeDecoder(const Scope& scope, const VaeConfig& config);
  /// The latents [batch, latent_channels, h, w] condition spatial norms; otherwise they may be
  /// undefined.
  Tensor forward(const Tensor& z, const Tensor& latents) const;

  Conv2d conv_in;
  VaeLevel mid_block;
  std::vector<VaeLevel> up_blocks;
  SpatialNorm conv_norm_out;
  Conv2d conv_out;
};

}  // namespace longhand
