// Kernels of language models between their products, for inference on a processor.
#pragma once

#include <span>

#include "nn/torch.h"

namespace longhand {

/// x [..., width] / root mean square over the width, times weight [width] (Zhang & Sennrich 2019);
/// x and weight are float32, the result is of `dtype`.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon,
                    at::ScalarType dtype);

/// The same of each head of x [rows, heads · width], in place, of any type.
void rms_norm_heads(at::Tensor x, const at::Tensor& weight, double epsilon);

/// Rotary embedding (Su et al. 2021) of x [rows, heads · width], in place: each head's pairs are
/// turned by the angles that `turns` [positions, width] has for the row's position, cosines and
/// then sines. Pairs are neighbours (2i, 2i + 1) or, with `halves`, lie half a width apart.
void rotate(at::Tensor x, std::int64_t width, const at::Tensor& turns,
            std::span<const std::int64_t> positions, bool halves);

/// x [rows, 2 · width], gates and then values → silu(gate) · value, [rows, width].
at::Tensor swiglu(const at::Tensor& x);

}  // namespace longhand
