// Steps that follow one another, in one pass over memory; for inference on a processor. In float32
// inside, whatever the type of the tensors.
#pragma once

#include "nn/torch.h"

namespace longhand {

/// True where the kernels below take a tensor whose last dimension in memory is `channels`: float32
/// or bfloat16 on the processor, channels in sixteens.
bool fuses(const at::Tensor& x, std::int64_t channels);

/// GEGLU (Shazeer 2020, equation 6): x [..., 2c], contiguous → a · gelu(b) [..., c] of its halves
/// a and b, with the exact gelu.
at::Tensor gated_gelu(const at::Tensor& x);

/// silu(group_norm(x)) of x [batch, channels, h, w], channels-last; weight and bias [channels].
/// With scale and shift [batch, channels]: silu(group_norm(x) · (1 + scale) + shift).
at::Tensor group_norm_silu(const at::Tensor& x, int groups, const at::Tensor& weight,
                           const at::Tensor& bias, double epsilon, const at::Tensor& scale = {},
                           const at::Tensor& shift = {});

// The same in its parts, for a map that is not in memory whole: moments of its pieces add up.

/// Sums over the pixels of x [batch, channels, h, w], channels-last, and of their squares → float64
/// [batch, 2, channels].
at::Tensor channel_moments(const at::Tensor& x);
/// What the norm of a map of so many pixels multiplies each channel with, and what it adds then →
/// float32 [batch, 2, channels].
at::Tensor group_norm_affine(const at::Tensor& moments, std::int64_t pixels, int groups,
                             const at::Tensor& weight, const at::Tensor& bias, double epsilon);
/// What group_norm_affine() answers, followed by · (1 + scale) + shift, where these are defined.
void modulate(const at::Tensor& affine, const at::Tensor& scale, const at::Tensor& shift);
/// silu(x · scale + shift) of x [batch, channels, h, w], channels-last, and affine [batch, 2,
/// channels].
at::Tensor affine_silu(const at::Tensor& x, const at::Tensor& affine);
/// The same without the silu.
at::Tensor affine_map(const at::Tensor& x, const at::Tensor& affine);

}  // namespace longhand
