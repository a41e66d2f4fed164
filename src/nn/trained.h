// Steps of nn/fused.h with their backward passes, for training on a processor: nothing but their
// input is kept between the two.
#pragma once

#include "nn/torch.h"

namespace longhand {

enum class AfterNorm { nothing, silu };

/// What nn/fused.h's group_norm_silu computes, or the same without the silu, with gradients for x,
/// weight, bias, and scale and shift (both or neither). x as nn/fused.h's fuses() takes it.
at::Tensor trained_group_norm(const at::Tensor& x, int groups, const at::Tensor& weight,
                              const at::Tensor& bias, double epsilon, AfterNorm after,
                              const at::Tensor& scale = {}, const at::Tensor& shift = {});

/// GEGLU as nn/fused.h's gated_gelu, with its gradient; x contiguous, as fuses() takes it.
at::Tensor trained_geglu(const at::Tensor& x);

}  // namespace longhand
