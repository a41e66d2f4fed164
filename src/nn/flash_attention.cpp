#include "nn/flash_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numbers>

#include "nn/attention_blocks.h"
#include "nn/lanes.h"
#include "nn/packing.h"
#include "nn/parallel.h"

namespace longhand {
namespace {

using at::BFloat16;
using at::Tensor;
using std::int64_t;

constexpr int64_t query_block = 128, key_block = 512;  // rows and columns of scores at a time
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
      at::native::cpublas::brgemm_release();
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
    ScoreBlock block(const Attention& a, int64_t rows, int64_t columns) const {
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

  void pack_head(int64_t head) {
    pack_keys(part(key_, head, 0), padded_length_, inner_,
              keys_.mutable_data_ptr<T>() + head * padded_length_ * inner_);
    pack_values(part(value_, head, 0), padded_length_, padded_width_,
                values_.mutable_data_ptr<T>() + head * padded_length_ * padded_width_);
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
    scratch.block(*this, rows, columns_).clear();
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
    score(rows, columns, inner_, scratch.queries.get(), keys, scratch.scores.get());
    for (int64_t row = 0; row < rows; ++row) {
      float* scores = scratch.scores.get() + row * columns;
      const int64_t real = std::min(columns, length_ - key);
      if (bias_.defined()) {
        add_bias(head, token + row, key, real, scores);
      }
      std::fill(scores + real, scores + columns, -std::numeric_limits<float>::infinity());
    }
    const ScoreBlock block = scratch.block(*this, rows, columns);
    soften(block, scratch.probabilities.get());
    mix(block, scratch.probabilities.get(),
        values_.const_data_ptr<T>() + head * padded_length_ * padded_width_, padded_length_, key);
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
