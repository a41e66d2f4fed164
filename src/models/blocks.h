// Blocks that the autoencoders and UNets are made of; names as in diffusers. In training each
// residual branch starts at zero (Dhariwal and Nichol 2021, zero_module).
#pragma once

#include <optional>
#include <vector>

#include "nn/layers.h"

namespace longhand {

/// Residual block: norm1, conv1, time_emb_proj, norm2, conv2, conv_shortcut (diffusers
/// ResnetBlock2D). x [batch, in, h, w], time [batch, time_channels] → [batch, out, h, w].
struct ResnetBlock2D {
  ResnetBlock2D(const Scope& scope, int in, int out, int time_channels, int groups, double epsilon);
  Tensor forward(const Tensor& x, const Tensor& activated_time) const;

  GroupNorm norm1;
  Conv2d conv1;
  std::optional<Linear> time_emb_proj;
  GroupNorm norm2;
  Conv2d conv2;
  std::optional<Conv2d> conv_shortcut;
};

/// Halves height and width: a convolution of stride 2; asymmetric pads right and below only, as the
/// autoencoder's encoder does.
struct Downsample2D {
  Downsample2D(const Scope& scope, int channels, bool asymmetric);
  Tensor forward(const Tensor& x) const;

  Conv2d conv;
  bool asymmetric;
};

/// Nearest-neighbour to the given size (twice as large where absent), then a 3×3 convolution.
struct Upsample2D {
  Upsample2D(const Scope& scope, int channels);
  Tensor forward(const Tensor& x, at::OptionalIntArrayRef size = {}) const;

  Conv2d conv;
};

/// to_q, to_k, to_v, to_out.0 (diffusers Attention).
struct CrossAttention {
  CrossAttention(const Scope& scope, int channels, int context_channels, int heads, bool with_bias);
  /// x [batch, tokens, channels]; context [batch, length, context_channels] (x itself for
  /// self-attention).
  Tensor forward(const Tensor& x, const Tensor& context) const;

  Linear to_q, to_k, to_v, to_out;
  int heads;
};

/// norm1, attn1, norm2, attn2, norm3, ff.net.{0.proj, 2} with GEGLU (diffusers
/// BasicTransformerBlock).
struct BasicTransformerBlock {
  BasicTransformerBlock(const Scope& scope, int channels, int context_channels, int heads);
  Tensor forward(const Tensor& x, const Tensor& context) const;

  LayerNorm norm1;
  CrossAttention attn1;
  LayerNorm norm2;
  CrossAttention attn2;
  LayerNorm norm3;
  Linear ff_in, ff_out;
};

/// norm, proj_in, transformer_blocks, proj_out around a residual (diffusers Transformer2DModel).
struct Transformer2DModel {
  Transformer2DModel(const Scope& scope, int channels, int context_channels, int heads, int layers,
                     int groups, bool use_linear_projection);
  /// x [batch, channels, h, w], context [batch, length, context_channels].
  Tensor forward(const Tensor& x, const Tensor& context) const;

  GroupNorm norm;
  std::optional<Conv2d> conv_in, conv_out;
  std::optional<Linear> linear_in, linear_out;
  std::vector<BasicTransformerBlock> transformer_blocks;
};

}  // namespace longhand
