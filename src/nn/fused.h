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
at::Tensor group_norm_silu(const at::Tensor& x, int groups, const at::Tensor& weight,
                           const at::Tensor& bias, double epsilon);

}  // namespace longhand
