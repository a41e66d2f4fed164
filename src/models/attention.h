// Attention over the positions of a picture, and over text beside it; names as in diffusers.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "models/blocks.h"

namespace longhand {

/// What positions attend to beside one another, and the keys and values that layers make of it:
/// these are made once and shared by all steps of a run. Not thread-safe.
class Context {
 public:
  struct KeyValue {
    Tensor key, value;  // [batch, length, channels]
  };
  /// states [batch, length, context_channels]; mask [batch, 1, 1, length], added to the scores over
  /// the context, or undefined.
  explicit Context(Tensor states, Tensor mask = {})
      : states_(std::move(states)), mask_(std::move(mask)) {}

  const Tensor& states() const { return states_; }
  const Tensor& mask() const { return mask_; }
  /// What `make` gives for the states, kept for the layer.
  const KeyValue& of(const void* layer, const std::function<KeyValue(const Tensor&)>& make);

 private:
  Tensor states_, mask_;
  std::map<const void*, KeyValue> kept_;
};

/// to_q, to_k, to_v, to_out.0 (diffusers Attention).
struct CrossAttention {
  CrossAttention(const Scope& scope, int channels, int context_channels, int heads, bool with_bias);
  /// Self-attention: x [batch, tokens, channels]; bias as attention() takes it.
  Tensor forward(const Tensor& x, const Tensor& bias = {}) const;
  /// Attention over a context, its mask not regarded.
  Tensor forward(const Tensor& x, Context& context) const;

  Linear to_q, to_k, to_v, to_out;
  int heads;
};

/// What stands after a residual block of a UNet.
class SpatialAttention {
 public:
  virtual ~SpatialAttention() = default;
  /// x [batch, channels, h, w] → [batch, channels, h, w].
  virtual Tensor forward(const Tensor& x, Context& context) const = 0;
};

/// norm1, attn1, norm2, attn2, norm3, ff.net.{0.proj, 2} with GEGLU (diffusers
/// BasicTransformerBlock).
struct BasicTransformerBlock {
  BasicTransformerBlock(const Scope& scope, int channels, int context_channels, int heads);
  Tensor forward(const Tensor& x, Context& context) const;

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
  Tensor forward(const Tensor& x, Context& context) const override;

  GroupNorm norm;
  std::optional<Conv2d> conv_in, conv_out;
  std::optional<Linear> linear_in, linear_out;
  std::vector<BasicTransformerBlock> transformer_blocks;
};

/// Positions attend to one another, around a residual (diffusers Attention with
/// residual_connection, formerly AttentionBlock). The norm is group_norm, or spatial_norm where it
/// is conditioned on latents.
struct SelfAttention2D : SpatialAttention {
  SelfAttention2D(const Scope& scope, int channels, int heads, int groups, double epsilon,
                  int latent_channels = 0);
  Tensor forward(const Tensor& x, Context&) const override { return forward(x, Tensor()); }
  /// latents [batch, latent_channels, h', w'], or undefined.
  Tensor forward(const Tensor& x, const Tensor& latents) const;

  SpatialNorm norm;
  CrossAttention core;
};

/// Positions attend to the context and to one another at once, around a residual (diffusers
/// Attention with AttnAddedKVProcessor; Kandinsky's and Karlo's decoders).
struct AddedKVAttention : SpatialAttention {
  AddedKVAttention(const Scope& scope, int channels, int context_channels, int heads, int groups);
  Tensor forward(const Tensor& x, Context& context) const override;

  GroupNorm group_norm;
  Linear to_q, to_k, to_v, add_k_proj, add_v_proj, to_out;
  int heads;
};

}  // namespace longhand
