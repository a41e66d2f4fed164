#include "pipeline/autoregressive_sampling.h"

#include <algorithm>

namespace longhand {
namespace {

using at::Tensor;

/// An index for each row of logits [batch, choices], by its row's stream.
Tensor drawn(const Tensor& logits, std::vector<Random>& random) {
  const Tensor shares = logits.to(at::kFloat).softmax(1).cumsum(1).contiguous();
  const std::int64_t choices = shares.size(1);
  const auto* row = shares.const_data_ptr<float>();
  Tensor indices = at::empty({shares.size(0)}, at::kLong);
  for (std::size_t i = 0; i < random.size(); ++i, row += choices) {
    const auto* at =
        std::upper_bound(row, row + choices - 1, static_cast<float>(random[i].uniform()));
    indices.mutable_data_ptr<std::int64_t>()[i] = at - row;
  }
  return indices;
}

}  // namespace

Tensor imagined(const AutoregressivePrior& prior, const AutoregressivePrior::Text& text,
                std::vector<Random>& random) {
  const int buckets = prior.likeness_buckets();
  std::vector<std::int64_t> likeness;
  for (Random& each : random) {
    likeness.push_back(buckets / 2 + each.below(buckets - buckets / 2));
  }
  AutoregressivePrior::Seen seen;
  std::vector<Tensor> codes;
  Tensor logits = prior.begin(at::tensor(likeness, at::kLong), text, seen);
  for (int i = 0; i < prior.config().num_components; ++i) {
    codes.push_back(drawn(logits, random));
    if (i + 1 < prior.config().num_components) {
      logits = prior.next(codes.back(), seen);
    }
  }
  return prior.embeds_of(at::stack(codes, 1));
}

}  // namespace longhand
