// A map doubled by its nearest neighbours and then convolved, in four ninths of the
// multiplications: of the nine pixels that a 3×3 kernel sees in the doubled map only four differ,
// so that each of the four places within a pixel has a 2×2 kernel of sums. For inference on a
// processor.
#pragma once

#include "nn/packing.h"

namespace longhand {

class DoublingConvolution {
 public:
  /// `weight()` gives [out, in, 3, 3], as ConvolutionPack takes it; bias [out]; padding is 1.
  DoublingConvolution(std::function<at::Tensor()> weight, const at::Tensor& bias);
  /// x [batch, in, h, w], channels-last → [batch, out, 2h, 2w].
  at::Tensor forward(const at::Tensor& x) const;

 private:
  ConvolutionPack pack_;  // [4·out, in, 2, 2]: upper left, upper right, lower left, lower right
  at::Tensor bias_;       // [4·out]
};

}  // namespace longhand
