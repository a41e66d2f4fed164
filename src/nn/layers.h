// The layers that models share. Activations are [batch, channels, height, width] (channels-last in
// memory) or [batch, tokens, channels]. Names and shapes of weights are torch's.
#pragma once

#include <optional>
#include <string>

#include "nn/packing.h"
#include "nn/weights.h"

namespace longhand {

using at::Tensor;

/// y = x Wᵀ + b. weight [out, in], bias [out]; packed where the scope packs.
struct Linear {
  Linear(const Scope& scope, int in, int out, bool with_bias = true, Init init = Init::fan_in);
  Tensor forward(const Tensor& x) const;
  Tensor weight, bias;
};

/// weight [out, in, kernel, kernel], bias [out]; packed where the scope packs.
struct Conv2d {
  Conv2d(const Scope& scope, int in, int out, int kernel, int stride = 1, int padding = 0,
         bool with_bias = true, Init init = Init::fan_in);
  Tensor forward(const Tensor& x) const;
  Tensor weight, bias;  // the weight is undefined where it is packed
  std::shared_ptr<const ConvolutionPack> pack;
  int stride, padding;
};

struct GroupNorm {
  GroupNorm(const Scope& scope, int groups, int channels, double epsilon);
  Tensor forward(const Tensor& x) const;
  /// SiLU of it.
  Tensor activated(const Tensor& x) const;
  /// SiLU of it · (1 + scale) + shift; scale and shift [batch, channels].
  Tensor activated(const Tensor& x, const Tensor& scale, const Tensor& shift) const;
  bool fused(const Tensor& x) const;    // what is activated takes one pass, without gradients
  bool trained(const Tensor& x) const;  // with gradients, nn/trained.h
  Tensor weight, bias;
  int groups;
  double epsilon;
};

struct LayerNorm {
  LayerNorm(const Scope& scope, int channels, double epsilon = 1e-5);
  Tensor forward(const Tensor& x) const;
  Tensor weight, bias;
  double epsilon;
};

/// Attention of queries [batch, tokens, heads·width] over keys and values [batch, length,
/// heads·width]. The bias [batch or 1, heads or 1, tokens or 1, length], of the queries' type, is
/// added to the scores where it is defined. Returns [batch, tokens, heads·width].
Tensor attention(const Tensor& query, const Tensor& key, const Tensor& value, int heads,
                 const Tensor& bias = {});

/// a · gelu(b) of the halves a and b of x [..., 2c] → [..., c] (Shazeer 2020, equation 6).
Tensor geglu(const Tensor& x);

/// The bias with which a token sees itself and those before it: [1, 1, length, length].
Tensor causal_bias(std::int64_t length, const at::TensorOptions& options);

/// An activation by the name that configs use: "silu", "swish", "gelu", "quick_gelu", "relu".
Tensor activate(const std::string& name, const Tensor& x);

/// Sinusoidal embedding of timesteps [batch] → [batch, channels], float32
/// (diffusers' get_timestep_embedding).
Tensor timestep_embedding(const Tensor& timesteps, int channels, bool flip_sin_to_cos,
                          double frequency_shift);

}  // namespace longhand
