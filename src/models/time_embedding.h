// Timesteps, and other numbers, as vectors.
#pragma once

#include <optional>
#include <string>

#include "nn/layers.h"

namespace longhand {

/// linear_1, SiLU, linear_2 (diffusers TimestepEmbedding): [batch, in] → [batch, out]. A condition
/// of width cond_channels is added to the input through cond_proj.
struct TimestepEmbedding {
  TimestepEmbedding(const Scope& scope, int in, int out, int cond_channels = 0)
      : linear_1(scope / "linear_1", in, out), linear_2(scope / "linear_2", out, out) {
    if (cond_channels > 0) {
      cond_proj.emplace(scope / "cond_proj", cond_channels, in, false);
    }
  }
  Tensor forward(const Tensor& x, const Tensor& condition = {}) const {
    const bool conditioned = cond_proj && condition.defined();
    return linear_2.forward(
        at::silu(linear_1.forward(conditioned ? x + cond_proj->forward(condition) : x)));
  }

  Linear linear_1, linear_2;
  std::optional<Linear> cond_proj;
};

}  // namespace longhand
