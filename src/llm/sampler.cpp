#include "llm/sampler.h"

#include <algorithm>
#include <cmath>

#include "nn/lanes.h"

namespace longhand {
namespace {

constexpr std::size_t block = 64;  // logits that are passed over together

/// The largest of each block.
__attribute__((target_clones("avx512f", "avx2", "default"))) void block_maxima(const float* logits,
                                                                               std::size_t blocks,
                                                                               float* maxima) {
  for (std::size_t i = 0; i < blocks; ++i) {
    Lanes top, more;
    load(logits + i * block, top);
    for (std::size_t at = lane_count; at < block; at += lane_count) {
      load(logits + i * block + at, more);
      top = more > top ? more : top;
    }
    maxima[i] = reduce(top, [](float a, float b) { return a > b ? a : b; });
  }
}

bool larger(const Candidate& a, const Candidate& b) { return a.logit > b.logit; }

}  // namespace

std::vector<Candidate> top_candidates(std::span<const float> logits, int k) {
  std::vector<float> maxima(logits.size() / block);
  block_maxima(logits.data(), maxima.size(), maxima.data());
  std::vector<Candidate> heap;  // its front is the smallest of the best so far
  heap.reserve(static_cast<std::size_t>(k) + 1);
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const bool full = heap.size() == static_cast<std::size_t>(k);
    if (full && i % block == 0 && i / block < maxima.size() &&
        maxima[i / block] <= heap.front().logit) {
      i += block - 1;
      continue;
    }
    if (full && logits[i] <= heap.front().logit) {
      continue;
    }
    if (full) {
      std::ranges::pop_heap(heap, larger);
      heap.pop_back();
    }
    heap.push_back({static_cast<int>(i), logits[i]});
    std::ranges::push_heap(heap, larger);
  }
  std::ranges::sort(heap, larger);
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
