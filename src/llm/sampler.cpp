#include "llm/sampler.h"

#include <algorithm>
#include <cmath>

namespace longhand {

std::vector<Candidate> top_candidates(std::span<const float> logits, int k) {
  const auto smaller_first = [](const Candidate& a, const Candidate& b) {
    return a.logit > b.logit;
  };
  std::vector<Candidate> heap;  // its front is the smallest of the best so far
  heap.reserve(static_cast<std::size_t>(k) + 1);
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (heap.size() < static_cast<std::size_t>(k)) {
      heap.push_back({static_cast<int>(i), logits[i]});
      std::ranges::push_heap(heap, smaller_first);
    } else if (logits[i] > heap.front().logit) {
      std::ranges::pop_heap(heap, smaller_first);
      heap.back() = {static_cast<int>(i), logits[i]};
      std::ranges::push_heap(heap, smaller_first);
    }
  }
  std::ranges::sort(heap, smaller_first);
  return heap;
}

int sample_token(std::vector<Candidate> candidates, const Sampling& sampling,
                 const std::function<float(int token)>& bias, Random& random) {
  for (Candidate& candidate : candidates) {
    candidate.logit += bias(candidate.token);
  }
  std::erase_if(candidates, [](const Candidate& c) { return !std::isfinite(c.logit); });
  if (candidates.empty()) {
    return -1;
  }
  std::ranges::sort(candidates, [](const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
  });
  if (sampling.temperature <= 0) {
    return candidates.front().token;
  }
  double total = 0;
  std::vector<double> weights;
  for (const Candidate& candidate : candidates) {
    weights.push_back(
        std::exp((candidate.logit - candidates.front().logit) / sampling.temperature));
    total += weights.back();
  }
  double kept = 0;
  std::size_t count = 0;
  while (count == 0 || (count < weights.size() && kept < sampling.top_p * total)) {
    kept += weights[count++];
  }
  double left = random.uniform() * kept;
  for (std::size_t i = 0; i < count; ++i) {
    left -= weights[i];
    if (left < 0) {
      return candidates[i].token;
    }
  }
  return candidates[count - 1].token;
}

}  // namespace longhand
