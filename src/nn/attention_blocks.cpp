#include "nn/attention_blocks.h"

#include <cmath>
#include <functional>

#include "nn/lanes.h"

namespace longhand {
namespace {

using std::int64_t;

constexpr float infinity = std::numeric_limits<float>::infinity();

template <class T>
[[gnu::always_inline]] inline void soften_rows(const ScoreBlock& block, T* probabilities) {
  for (int64_t row = 0; row < block.rows; ++row) {
    const float* scores = block.scores + row * block.columns;
    T* to = probabilities + row * block.columns;
    Lanes x, top = Lanes{} - infinity, total{};
    for (int64_t i = 0; i < block.columns; i += lane_count) {
      load(scores + i, x);
      top = x > top ? x : top;
    }
    const float before = block.largest[row];
    const float now = std::max(before, reduce(top, [](float a, float b) { return a > b ? a : b; }));
    const float shift = now == -infinity ? 0 : now;
    for (int64_t i = 0; i < block.columns; i += lane_count) {
      load(scores + i, x);
      x = (x - shift) * block.factor;
      exp2(x);
      store(x, to + i);
      load(to + i, x);
      total += x;
    }
    const float keep = before == now ? 1 : std::exp2((before - shift) * block.factor);
    block.largest[row] = now;
    block.sums[row] = block.sums[row] * keep + reduce(total, std::plus());
    float* mixed = block.mixed + row * block.mixed_columns;
    for (int64_t i = 0; i < block.mixed_columns && keep != 1; i += lane_count) {
      load(mixed + i, x);
      x *= keep;
      store(x, mixed + i);
    }
  }
}

template <class T>
[[gnu::always_inline]] inline void normalise_rows(const ScoreBlock& block, T* to) {
  for (int64_t row = 0; row < block.rows; ++row) {
    const float share = block.sums[row] == 0 ? 0 : 1 / block.sums[row];
    for (int64_t i = row * block.mixed_columns; i < (row + 1) * block.mixed_columns;
         i += lane_count) {
      Lanes x;
      load(block.mixed + i, x);
      x *= share;
      store(x, to + i);
    }
  }
}

}  // namespace

LONGHAND_CLONES void soften(const ScoreBlock& block, float* probabilities) {
  soften_rows(block, probabilities);
}

LONGHAND_CLONES void soften(const ScoreBlock& block, at::BFloat16* probabilities) {
  soften_rows(block, probabilities);
}

LONGHAND_CLONES void normalise(const ScoreBlock& block, float* to) { normalise_rows(block, to); }

LONGHAND_CLONES void normalise(const ScoreBlock& block, at::BFloat16* to) {
  normalise_rows(block, to);
}

}  // namespace longhand
