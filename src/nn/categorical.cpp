#include "nn/categorical.h"

#include <algorithm>

namespace longhand {

at::Tensor drawn_indices(const at::Tensor& logits, std::span<Random> streams) {
  const at::Tensor shares = logits.to(at::kFloat).softmax(1).cumsum(1).contiguous();
  const std::int64_t choices = shares.size(1);
  const auto* row = shares.const_data_ptr<float>();
  at::Tensor indices = at::empty({shares.size(0)}, at::kLong);
  for (std::size_t i = 0; i < streams.size(); ++i, row += choices) {
    const auto* at =
        std::upper_bound(row, row + choices - 1, static_cast<float>(streams[i].uniform()));
    indices.mutable_data_ptr<std::int64_t>()[i] = at - row;
  }
  return indices;
}

}  // namespace longhand
