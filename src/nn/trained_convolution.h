// A 3×3 convolution for training on a processor, with a gradient of its weight of our own: oneDNN's
// takes three to six times as long as its gradient of the input on the small maps inside a UNet.
#pragma once

#include "nn/torch.h"

namespace longhand {

/// True for bfloat16 on the processor, channels-last maps of 8×8 at most, channels in sixteens, and
/// a 3×3 weight that is learned.
bool trained_convolution_helps(const at::Tensor& x, const at::Tensor& weight, int stride,
                               int padding);

/// at::conv2d(x, weight, bias, 1, 1); an undefined bias is none.
at::Tensor trained_convolution(const at::Tensor& x, const at::Tensor& weight,
                               const at::Tensor& bias);

}  // namespace longhand
