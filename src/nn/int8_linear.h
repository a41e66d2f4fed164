// Linear layers in 8 bits: weights by output channel, inputs by row, both symmetric, products exact
// in 32 bits (Dettmers et al. 2022, section 2.1, "row-wise and column-wise quantisation").
#pragma once

#include "nn/torch.h"

namespace longhand {

/// True where this processor multiplies 8 bits fast.
bool int8_runs();

/// Re-entrant.
class Int8Linear {
 public:
  Int8Linear() = default;
  /// weight [out, in], any floating type; `in` a multiple of 16.
  explicit Int8Linear(const at::Tensor& weight);
  bool defined() const { return packed_.defined(); }

  /// x [rows, in], float32 or bfloat16 → [rows, out] of the same type; an undefined bias is none.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& bias) const;

 private:
  std::int64_t out_ = 0;
  at::Tensor packed_;   // int8, panels of 64 outputs (nn/attention_blocks.h), the last one padded
  at::Tensor scales_;   // [panels * 64], float32
  at::Tensor offsets_;  // [panels * 64], int32: what the inputs' offset adds to a sum of products
};

}  // namespace longhand
