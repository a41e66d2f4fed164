#include "nn/flash_attention.h"

#include <ATen/native/CPUBlas.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <numbers>

#include "nn/lanes.h"
#include "nn/packing.h"
#include "nn/parallel.h"

namespace longhand {
namespace {

using at::BFloat16;
using at::Tensor;
using std::int64_t;
namespace blas = at::native::cpublas;

constexpr int64_t query_block = 128, key_block = 512;  // rows and columns of scores at a time
constexpr int64_t panel = 64;  // the columns of a packed matrix that lie together
constexpr float infinity = std::numeric_limits<float>::infinity();

int64_t round_up(int64_t number, int64_t multiple) {
  return (number + multiple - 1) / multiple * multiple;
}

/// How many rows of a packed matrix lie interleaved: processors multiply pairs of bfloat16.
template <class T>
constexpr int64_t group = sizeof(float) / sizeof(T);

/// A matrix in memory of any strides.
template <class T>
struct Matrix {
  const T* data;
  int64_t rows, columns, row_stride, column_stride;
};

/// Copies a matrix into [rows / group, width, group] with zeros around it: one panel of the right
/// side of a product.
template <class T>
void pack(const Matrix<T>& from, int64_t rows, int64_t width, T* to) {
  if (from.rows < rows || from.columns < width) {
    std::fill_n(to, rows * width, T(0));
  }
  for (int64_t row = 0; row < std::min(rows, from.rows); ++row) {
    const T* source = from.data + row * from.row_stride;
    T* target = to + row / group<T> * group<T> * width + row % group<T>;
    for (int64_t column = 0; column < std::min(width, from.columns); ++column) {
      target[column * group<T>] = source[column * from.column_stride];
    }
  }
}

/// result [rows, width] = (or += where it adds) left [rows, inner] · right, a packed panel.
template <class T>
void multiply(int64_t rows, int64_t width, int64_t inner, const T* left, int64_t left_stride,
              const T* right, bool adds, float* result, int64_t result_stride) {
  // In float32, sums of sums of 128 products: they round less than one long sum.
  const int64_t chain = group<T> == 1 ? 128 : inner;
  for (int64_t i = 0; i < inner; i += chain) {
    blas::brgemm(rows, width, std::min(chain, inner - i), left_stride, width, result_stride,
                 adds || i > 0, left + i, right + i * width, result, group<T> == 2);
  }
}

/// A block of scores on their way to probabilities; the counts are multiples of 16.
struct Block {
  int64_t rows, columns;
  float* scores;   // [rows, columns]
  float factor;    // score · factor is the power of two
  float* largest;  // [rows], of the scores so far
  float* sums;     // [rows], of the probabilities so far
  float* mixed;    // [rows, mixed_columns]: probabilities · values so far
  int64_t mixed_columns;
};

/// Turns scores into probabilities that the row's final sum will normalise, and brings what was
/// summed so far to the same largest score. The sum is that of the rounded probabilities, so that
/// the weights of the values add up to one.
template <class T>
[[gnu::always_inline]] inline void soften_rows(const Block& block, T* probabilities) {
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

/// The mixed values [rows, mixed_columns] by the sums of their weights; zeros where the sum is.
template <class T>
[[gnu::always_inline]] inline void normalise_rows(const Block& block, T* to) {
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

__attribute__((target_clones("avx512f", "avx2", "default"))) void soften(const Block& block,
                                                                         float* probabilities) {
  soften_rows(block, probabilities);
}

__attribute__((target_clones("avx512f", "avx2", "default"))) void soften(const Block& block,
                                                                         BFloat16* probabilities) {
  soften_rows(block, probabilities);
}

__attribute__((target_clones("avx512f", "avx2", "default"))) void normalise(const Block& block,
                                                                            float* to) {
  normalise_rows(block, to);
}

__attribute__((target_clones("avx512f", "avx2", "default"))) void normalise(const Block& block,
                                                                            BFloat16* to) {
  normalise_rows(block, to);
}

/// What all blocks of one call share.
template <class T>
class Attention {
 public:
  Attention(const Tensor& query, const Tensor& key, const Tensor& value, int heads,
            const Tensor& bias)
      : query_(query),
        key_(key),
        value_(value),
        batch_(query.size(0)),
        heads_(heads),
        tokens_(query.size(1)),
        length_(key.size(1)),
        width_(query.size(2) / heads),
        inner_(round_up(width_, group<T>)),
        padded_length_(round_up(length_, lane_count)),
        padded_width_(round_up(width_, lane_count)),
        rows_(std::min(query_block, tokens_)),
        columns_(std::min(key_block, padded_length_)),
        scale_(static_cast<float>(1.0 / std::sqrt(static_cast<double>(width_)))),
        keys_(at::empty({batch_ * heads_, padded_length_ * inner_}, query.options())),
        values_(at::empty({batch_ * heads_, padded_length_ * padded_width_}, query.options())),
        mixed_(at::empty({batch_, tokens_, heads_ * width_}, query.options())) {
    if (bias.defined()) {
      bias_ = bias.to(at::kFloat).contiguous().expand({batch_, heads_, tokens_, length_});
    }
  }

  Tensor run() {
    const int64_t blocks = (tokens_ + rows_ - 1) / rows_;
    if (blocks > 1) {  // share a head's keys and values
      parallel_for(batch_ * heads_, [&](int64_t begin, int64_t end) {
        for (int64_t head = begin; head < end; ++head) {
          pack_head(head);
        }
      });
    }
    parallel_for(batch_ * heads_ * blocks, [&](int64_t begin, int64_t end) {
      Scratch scratch(*this);
      for (int64_t i = begin; i < end; ++i) {
        if (blocks == 1) {
          pack_head(i);
        }
        attend(i / blocks, i % blocks * rows_, scratch);
      }
      blas::brgemm_release();
    });
    return mixed_;
  }

 private:
  /// One thread's working memory.
  struct Scratch {
    explicit Scratch(const Attention& a)
        : queries(new T[a.rows_ * a.inner_]),
          probabilities(new T[a.rows_ * std::max(a.columns_, a.padded_width_)]),
          scores(new float[a.rows_ * a.columns_]),
          mixed(new float[a.rows_ * a.padded_width_]),
          largest(new float[a.rows_]),
          sums(new float[a.rows_]) {}
    Block block(const Attention& a, int64_t rows, int64_t columns) const {
      const float factor = std::numbers::log2e_v<float> * (a.bias_.defined() ? 1 : a.scale_);
      return {rows,          columns,    scores.get(), factor,
              largest.get(), sums.get(), mixed.get(),  a.padded_width_};
    }
    std::unique_ptr<T[]> queries, probabilities;
    std::unique_ptr<float[]> scores, mixed, largest, sums;
  };

  /// The part of x [batch, rows, heads·width] that belongs to one head, from a row on.
  Matrix<T> part(const Tensor& x, int64_t head, int64_t row) const {
    return {x.const_data_ptr<T>() + head / heads_ * x.stride(0) + row * x.stride(1) +
                head % heads_ * width_,
            x.size(1) - row, width_, x.stride(1), 1};
  }

  /// Keys as panels of 64 keys, [width, keys] each; values as panels of 64 channels, [keys,
  /// channels].
  void pack_head(int64_t head) {
    T* keys = keys_.mutable_data_ptr<T>() + head * padded_length_ * inner_;
    for (int64_t i = 0; i < padded_length_; i += panel) {
      const Matrix<T> rows = part(key_, head, i);
      pack({rows.data, width_, rows.rows, 1, rows.row_stride}, inner_,
           std::min(panel, padded_length_ - i), keys + i * inner_);
    }
    T* values = values_.mutable_data_ptr<T>() + head * padded_length_ * padded_width_;
    for (int64_t i = 0; i < padded_width_; i += panel) {
      Matrix<T> columns = part(value_, head, 0);
      columns.data += i;
      columns.columns -= i;
      pack(columns, padded_length_, std::min(panel, padded_width_ - i),
           values + i * padded_length_);
    }
  }

  /// The queries from `token` on, a block of them, over all keys of a head.
  void attend(int64_t head, int64_t token, Scratch& scratch) {
    const int64_t rows = std::min(rows_, tokens_ - token);
    const Matrix<T> queries = part(query_, head, token);
    for (int64_t row = 0; row < rows; ++row) {
      T* to = scratch.queries.get() + row * inner_;
      std::fill(std::copy_n(queries.data + row * queries.row_stride, width_, to), to + inner_,
                T(0));
    }
    std::fill_n(scratch.largest.get(), rows, -infinity);
    std::fill_n(scratch.sums.get(), rows, 0.0F);
    std::fill_n(scratch.mixed.get(), rows * padded_width_, 0.0F);
    for (int64_t key = 0; key < padded_length_; key += columns_) {
      add_block(head, token, rows, key, std::min(columns_, padded_length_ - key), scratch);
    }
    normalise(scratch.block(*this, rows, columns_), scratch.probabilities.get());
    T* to = mixed_.mutable_data_ptr<T>() + head / heads_ * mixed_.stride(0) +
            token * mixed_.stride(1) + head % heads_ * width_;
    for (int64_t row = 0; row < rows; ++row) {
      std::copy_n(scratch.probabilities.get() + row * padded_width_, width_,
                  to + row * mixed_.stride(1));
    }
  }

  /// Adds the keys and values from `key` on, `columns` of them.
  void add_block(int64_t head, int64_t token, int64_t rows, int64_t key, int64_t columns,
                 Scratch& scratch) {
    const T* keys = keys_.const_data_ptr<T>() + (head * padded_length_ + key) * inner_;
    for (int64_t i = 0; i < columns; i += panel) {
      const int64_t width = std::min(panel, columns - i);
      multiply(rows, width, inner_, scratch.queries.get(), inner_, keys + i * inner_, false,
               scratch.scores.get() + i, columns);
    }
    for (int64_t row = 0; row < rows; ++row) {
      float* scores = scratch.scores.get() + row * columns;
      const int64_t real = std::min(columns, length_ - key);
      if (bias_.defined()) {
        add_bias(head, token + row, key, real, scores);
      }
      std::fill(scores + real, scores + columns, -infinity);
    }
    soften(scratch.block(*this, rows, columns), scratch.probabilities.get());
    const T* values = values_.const_data_ptr<T>() + head * padded_length_ * padded_width_;
    for (int64_t i = 0; i < padded_width_; i += panel) {
      const int64_t width = std::min(panel, padded_width_ - i);
      multiply(rows, width, columns, scratch.probabilities.get(), columns,
               values + i * padded_length_ + key * width, true, scratch.mixed.get() + i,
               padded_width_);
    }
  }

  /// Scales a row of scores and adds its bias.
  void add_bias(int64_t head, int64_t token, int64_t key, int64_t count, float* scores) const {
    const float* bias = bias_.const_data_ptr<float>() + head / heads_ * bias_.stride(0) +
                        head % heads_ * bias_.stride(1) + token * bias_.stride(2) +
                        key * bias_.stride(3);
    for (int64_t i = 0; i < count; ++i) {
      scores[i] = scores[i] * scale_ + bias[i * bias_.stride(3)];
    }
  }

  const Tensor &query_, &key_, &value_;
  const int64_t batch_, heads_, tokens_, length_, width_;
  const int64_t inner_, padded_length_, padded_width_;  // what products with them are padded to
  const int64_t rows_, columns_;                        // of a block of scores
  const float scale_;
  Tensor keys_, values_, mixed_, bias_;
};

}  // namespace

bool flash_attention_helps(const Tensor& query, const Tensor& key, const Tensor& value) {
  const auto fits = [&](const Tensor& x) {
    return x.is_cpu() && x.scalar_type() == query.scalar_type() && x.stride(2) == 1 &&
           !(c10::GradMode::is_enabled() && x.requires_grad());
  };
  return packing_helps(query.scalar_type()) && __builtin_cpu_supports("avx512f") != 0 &&
         fits(query) && fits(key) && fits(value);
}

Tensor flash_attention(const Tensor& query, const Tensor& key, const Tensor& value, int heads,
                       const Tensor& bias) {
  return query.scalar_type() == at::kFloat
             ? Attention<float>(query, key, value, heads, bias).run()
             : Attention<BFloat16>(query, key, value, heads, bias).run();
}

}  // namespace longhand
