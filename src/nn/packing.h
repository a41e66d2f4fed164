// Weights in oneDNN's own layout. oneDNN brings them into it at each call unless it is done once:
// at 8×8 pixels that costs more than the convolution. For inference on a processor; the results are
// those of at::linear and at::conv2d.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "nn/torch.h"

namespace longhand {

/// True where oneDNN multiplies this type on this processor.
bool packing_helps(at::ScalarType dtype);

/// [out, in] → an opaque tensor (is_mkldnn()), for any number of rows.
at::Tensor pack_linear(const at::Tensor& weight);
/// x [..., in] → [..., out]; an undefined bias is none.
at::Tensor packed_linear(const at::Tensor& x, const at::Tensor& packed, const at::Tensor& bias);

/// A convolution's weight, laid out for the input size that was seen last: oneDNN wants another
/// layout for another size, and brings a wrong one into it slowly, at each call. Thread-safe.
class ConvolutionPack {
 public:
  /// `weight()` gives [out, in, height, width] at each new input size: a tensor in mapped memory
  /// is not kept twice.
  ConvolutionPack(std::function<at::Tensor()> weight, int stride, int padding)
      : weight_(std::move(weight)), stride_(stride), padding_(padding) {}
  /// x [batch, in, h, w] → [batch, out, h', w'].
  at::Tensor forward(const at::Tensor& x, const at::Tensor& bias) const;
  /// True where forward() needs not lay out the weight for an input of this size.
  bool ready_for(at::IntArrayRef sizes) const;

 private:
  struct Entry {
    std::vector<std::int64_t> sizes;
    at::Tensor packed;
  };
  std::function<at::Tensor()> weight_;
  int stride_, padding_;
  mutable std::atomic<std::shared_ptr<const Entry>> last_;
};

}  // namespace longhand
