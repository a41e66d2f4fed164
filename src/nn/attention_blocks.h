// Matrices packed for oneDNN's block products, and what attention kernels share: blocks of scores
// on their way to probabilities (FlashAttention's online softmax: Dao et al. 2022, algorithm 1).
#pragma once

#include <ATen/native/CPUBlas.h>
#include <c10/util/BFloat16.h>

#include <algorithm>
#include <cstdint>
#include <limits>

namespace longhand {

constexpr std::int64_t panel = 64;  // the columns of a packed matrix that lie together

inline std::int64_t round_up(std::int64_t number, std::int64_t multiple) {
  return (number + multiple - 1) / multiple * multiple;
}

/// How many rows of a packed matrix lie interleaved: processors multiply pairs of bfloat16.
template <class T>
constexpr std::int64_t group = sizeof(float) / sizeof(T);

/// A matrix in memory of any strides.
template <class T>
struct Matrix {
  const T* data;
  std::int64_t rows, columns, row_stride, column_stride;
};

/// Copies a matrix into [rows / group, width, group] with zeros around it: one panel of the right
/// side of a product.
template <class T>
void pack(const Matrix<T>& from, std::int64_t rows, std::int64_t width, T* to) {
  if (from.rows < rows || from.columns < width) {
    std::fill_n(to, rows * width, T(0));
  }
  for (std::int64_t row = 0; row < std::min(rows, from.rows); ++row) {
    const T* source = from.data + row * from.row_stride;
    T* target = to + row / group<T> * group<T> * width + row % group<T>;
    for (std::int64_t column = 0; column < std::min(width, from.columns); ++column) {
      target[column * group<T>] = source[column * from.column_stride];
    }
  }
}

/// Keys [keys, width] as panels of 64 keys, [inner, keys] each, inner the width rounded up to a
/// group; `padded_keys` are a multiple of 16.
template <class T>
void pack_keys(const Matrix<T>& keys, std::int64_t padded_keys, std::int64_t inner, T* to) {
  for (std::int64_t i = 0; i < padded_keys; i += panel) {
    const std::int64_t left = std::max<std::int64_t>(keys.rows - i, 0);
    pack<T>(
        {keys.data + i * keys.row_stride, keys.columns, left, keys.column_stride, keys.row_stride},
        inner, std::min(panel, padded_keys - i), to + i * inner);
  }
}

/// Values [keys, width] as panels of 64 channels, [keys, channels] each; both counts are padded to
/// multiples of 16.
template <class T>
void pack_values(const Matrix<T>& values, std::int64_t padded_keys, std::int64_t padded_width,
                 T* to) {
  for (std::int64_t i = 0; i < padded_width; i += panel) {
    Matrix<T> columns = values;
    columns.data += i * values.column_stride;
    columns.columns -= i;
    pack(columns, padded_keys, std::min(panel, padded_width - i), to + i * padded_keys);
  }
}

/// result [rows, width] = (or += where it adds) left [rows, inner] · right, a packed panel.
template <class T>
void multiply(std::int64_t rows, std::int64_t width, std::int64_t inner, const T* left,
              std::int64_t left_stride, const T* right, bool adds, float* result,
              std::int64_t result_stride) {
  // In float32, sums of sums of 128 products: they round less than one long sum.
  const std::int64_t chain = group<T> == 1 ? 128 : inner;
  for (std::int64_t i = 0; i < inner; i += chain) {
    at::native::cpublas::brgemm(rows, width, std::min(chain, inner - i), left_stride, width,
                                result_stride, adds || i > 0, left + i, right + i * width, result,
                                group<T> == 2);
  }
}

/// scores [rows, columns] of queries [rows, inner] with the packed keys of a block of `columns`.
template <class T>
void score(std::int64_t rows, std::int64_t columns, std::int64_t inner, const T* queries,
           const T* keys, float* scores) {
  for (std::int64_t i = 0; i < columns; i += panel) {
    multiply(rows, std::min(panel, columns - i), inner, queries, inner, keys + i * inner, false,
             scores + i, columns);
  }
}

/// A block of scores on their way to probabilities; the columns are multiples of 16.
struct ScoreBlock {
  std::int64_t rows, columns;
  float* scores;   // [rows, columns]
  float factor;    // score · factor is the power of two
  float* largest;  // [rows], of the scores so far
  float* sums;     // [rows], of the probabilities so far
  float* mixed;    // [rows, mixed_columns]: probabilities · values so far
  std::int64_t mixed_columns;

  /// Before the first scores.
  void clear() const {
    std::fill_n(largest, rows, -std::numeric_limits<float>::infinity());
    std::fill_n(sums, rows, 0.0F);
    std::fill_n(mixed, rows * mixed_columns, 0.0F);
  }
};

/// Adds probabilities · values to what was mixed so far: of packed values, `padded_keys` in all,
/// those from `key` on.
template <class T>
void mix(const ScoreBlock& block, const T* probabilities, const T* values, std::int64_t padded_keys,
         std::int64_t key) {
  for (std::int64_t i = 0; i < block.mixed_columns; i += panel) {
    const std::int64_t width = std::min(panel, block.mixed_columns - i);
    multiply(block.rows, width, block.columns, probabilities, block.columns,
             values + i * padded_keys + key * width, true, block.mixed + i, block.mixed_columns);
  }
}

/// Turns scores into probabilities [rows, columns] that the row's final sum will normalise, and
/// brings what was summed so far to the same largest score. The sum is that of the rounded
/// probabilities, so that the weights of the values add up to one.
void soften(const ScoreBlock& block, float* probabilities);
void soften(const ScoreBlock& block, at::BFloat16* probabilities);

/// The mixed values [rows, mixed_columns] by the sums of their weights; zeros where the sum is.
void normalise(const ScoreBlock& block, float* to);
void normalise(const ScoreBlock& block, at::BFloat16* to);

}  // namespace longhand
