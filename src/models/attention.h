// Attention over the positions of a picture, and over text beside it; names as in diffusers.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "models/blocks.h"

namespace longhand {

/// to_q, to_k, to_v, to_out.0 (diffusers Attention).
struct CrossAttention {
  CrossAttention(const Scope& scope, int channels, int context_channels, int heads, bool with_bias);
  /// x [batch, tokens, channels]; context [batch, length, context_channels] (x itself for
  /// self-attention); bias as attention() takes it.
  Tensor forward(const Tensor& x, const Tensor& context, const Tensor& bias = {}) const;

  Linear to_q, to_k, to_v, to_out;
  int heads;
};

/// What stands after a residual block of a UNet.
class SpatialAttention {
 public:
  virtual ~SpatialAttention() = default;
  /// x [batch, channels, h, w]; context [batch, length, context_channels]; mask [batch, 1, 1,
  /// length], added to the scores over the context, or undefined. Returns [batch, channels, h, w].
  virtual Tensor forward(const Tensor& x, const Tensor& context, const Tensor& mask) const = 0;
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
/// Takes no mask.
struct Transformer2DModel : SpatialAttention {
  Transformer2DModel(const Scope& scope, int channels, int context_channels, int heads, int layers,
                     int groups, bool use_linear_projection);
  Tensor forward(const Tensor& x, const Tensor& context, const Tensor& mask) const override;

  GroupNorm norm;
  std::optional<Conv2d> conv_in, conv_out;
  std::optional<Linear> linear_in, linear_out;
  std::vector<BasicTransformerBlock> transformer_blocks;
};

/// Positions attend to one another, around a residual (diffusers Attention with
/// residual_connection, formerly AttentionBlock). The norm is group_norm, or spatial_norm where it
/// is conditioned on latents [batch, latent_channels, h', w'], which are then the context.
struct SelfAttention2D : SpatialAttention {
  SelfAttention2D(const Scope& scope, int channels, int heads, int groups, double epsilon,
                  int latent_channels = 0);
  Tensor forward(const Tensor& x, const Tensor& context, const Tensor& mask) const override;

  SpatialNorm norm;
  CrossAttention core;
};

/// Positions attend to the context and to one another at once, around a residual (diffusers
/// Attention with AttnAddedKVProcessor; Kandinsky's and Karlo's decoders).
struct AddedKVAttention : SpatialAttention {
  AddedKVAttention(const Scope& scope, int channels, int context_channels, int heads, int groups);
  Tensor forward(const Tensor& x, const Tensor& context, const Tensor& mask) const override;

  GroupNorm group_norm;
  Linear to_q, to_k, to_v, add_k_proj, add_v_proj, to_out;
  int heads;
};

}  // namespace longhand
