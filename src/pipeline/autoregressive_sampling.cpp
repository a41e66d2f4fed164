#include "pipeline/autoregressive_sampling.h"

#include "nn/categorical.h"

namespace longhand {

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
    codes.push_back(drawn_indices(logits, random));
    if (i + 1 < prior.config().num_components) {
      logits = prior.next(codes.back(), seen);
    }
  }
  return prior.embeds_of(at::stack(codes, 1));
}

}  // namespace longhand
