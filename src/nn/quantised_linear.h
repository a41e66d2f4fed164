// Linear layers in 8 or 4 bits: weights by output channel, inputs in 8 bits by row, both symmetric,
// products exact in 32 bits (Dettmers et al. 2022, section 2.1, "row-wise and column-wise
// quantisation"); weights of 4 bits as in nn/four_bits.h.
#pragma once

#include "nn/torch.h"

namespace longhand {

/// True where this processor multiplies 8 bits fast.
bool int8_runs();

/// Re-entrant.
class QuantisedLinear {
 public:
  QuantisedLinear() = default;
  /// weight [out, in], any floating type; `in` a multiple of 16, for 4 bits of 32.
  QuantisedLinear(const at::Tensor& weight, int bits);
  bool defined() const { return packed_.defined(); }

  /// x [rows, in], float32 or bfloat16 → [rows, out] of the same type; an undefined bias is none.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& bias) const;

 private:
  std::int64_t out_ = 0;
  int bits_ = 8;
  at::Tensor packed_;  // [panels, bytes], panels of 64 outputs (nn/attention_blocks.h), the last
                       // one padded
  at::Tensor scales_;   // [panels * 64], float32
  at::Tensor offsets_;  // [panels * 64], int32: what the inputs' offset adds to a sum of products
};

}  // namespace longhand
