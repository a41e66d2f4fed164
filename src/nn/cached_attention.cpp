#include "nn/cached_attention.h"

#include <cmath>
#include <memory>
#include <numbers>

#include "core/error.h"
#include "nn/attention_blocks.h"
#include "nn/lanes.h"
#include "nn/packing.h"
#include "nn/parallel.h"

namespace longhand {
namespace {

using at::Tensor;
using std::int64_t;

constexpr int64_t rows_at_once = 128, keys_at_once = 512;

template <class T>
void pack_token(int64_t place, int64_t capacity, const HeadShape& shape, const T* key,
                const T* value, T* keys, T* values) {
  const int64_t width = shape.width;
  for (int64_t head = 0; head < shape.kv_heads; ++head) {
    T* to_keys = keys + head * capacity * width + place / panel * panel * width;
    T* to_values = values + head * capacity * width;
    for (int64_t i = 0; i < width; ++i) {
      const int64_t pair = i / group<T> * group<T>;
      to_keys[pair * panel + place % panel * group<T> + i % group<T>] = key[head * width + i];
    }
    for (int64_t first = 0; first < width; first += panel) {
      const int64_t columns = std::min(panel, width - first);
      T* row = to_values + first * capacity + place / group<T> * group<T> * columns;
      for (int64_t i = 0; i < columns; ++i) {
        row[i * group<T> + place % group<T>] = value[head * width + first + i];
      }
    }
  }
}

}  // namespace

bool cached_attention_runs(at::ScalarType dtype) {
  return packing_helps(dtype) && __builtin_cpu_supports("avx512f") != 0;
}

OwnKeys::OwnKeys(const HeadShape& shape, at::ScalarType dtype, int64_t block_tokens)
    : shape_(shape), dtype_(dtype), block_tokens_(round_up(block_tokens, panel)) {}

void OwnKeys::reserve(int64_t tokens) {
  while (std::ssize(blocks_) * block_tokens_ < tokens) {
    // Zeros: what lies behind the last token is multiplied too, with nothing.
    blocks_.push_back(at::zeros({2, shape_.kv_heads, block_tokens_ * shape_.width}, dtype_));
  }
}

void OwnKeys::put(int64_t place, const Tensor& key, const Tensor& value, int64_t row) {
  const Tensor& block = blocks_[static_cast<std::size_t>(place / block_tokens_)];
  with_type(dtype_, [&](auto type) {
    using T = decltype(type);
    T* keys = block.mutable_data_ptr<T>();
    pack_token(place % block_tokens_, block_tokens_, shape_,
               key.const_data_ptr<T>() + row * key.stride(0),
               value.const_data_ptr<T>() + row * value.stride(0), keys, keys + block.stride(0));
  });
}

SharedKeys OwnKeys::shared(int64_t length) const {
  if (std::ssize(blocks_) != 1) {
    fail(Kind::internal, "keys to share lie in {} blocks; expected one", blocks_.size());
  }
  return {blocks_.front()[0], blocks_.front()[1], length, block_tokens_};
}

/// What all blocks of one call share.
template <class T>
class CachedAttention {
 public:
  CachedAttention(const Tensor& query, const HeadShape& shape, const SharedKeys& shared,
                  std::span<const CachedRow> rows)
      : query_(query),
        shape_(shape),
        shared_(shared),
        rows_(rows),
        group_(shape.heads / shape.kv_heads),
        tokens_(std::max<int64_t>(1, rows_at_once / group_)),
        mixed_(at::empty_like(query)) {}

  Tensor run() {
    const int64_t blocks = (std::ssize(rows_) + tokens_ - 1) / tokens_;
    parallel_for(shape_.kv_heads * blocks, [&](int64_t begin, int64_t end) {
      Scratch scratch(*this);
      for (int64_t i = begin; i < end; ++i) {
        attend(i / blocks, i % blocks * tokens_, scratch);
      }
      at::native::cpublas::brgemm_release();
    });
    return mixed_;
  }

 private:
  /// One thread's working memory.
  struct Scratch {
    explicit Scratch(const CachedAttention& a) : Scratch(a.tokens_ * a.group_, a.shape_.width) {}
    Scratch(int64_t rows, int64_t width)
        : queries(new T[rows * width]),
          probabilities(new T[rows * std::max(keys_at_once, width)]),
          scores(new float[rows * keys_at_once]),
          mixed(new float[rows * width]),
          largest(new float[rows]),
          sums(new float[rows]) {}
    std::unique_ptr<T[]> queries, probabilities;
    std::unique_ptr<float[]> scores, mixed, largest, sums;
  };

  /// Of the scratch's rows those from `row` on.
  ScoreBlock block(Scratch& scratch, int64_t row, int64_t rows, int64_t columns) const {
    const int64_t width = shape_.width;
    const double factor = std::numbers::log2e / std::sqrt(static_cast<double>(width));
    return {rows,
            columns,
            scratch.scores.get(),
            static_cast<float>(factor),
            scratch.largest.get() + row,
            scratch.sums.get() + row,
            scratch.mixed.get() + row * width,
            width};
  }

  void attend(int64_t head, int64_t first, Scratch& scratch) {
    const int64_t tokens = std::min(tokens_, std::ssize(rows_) - first);
    const int64_t at = head * group_ * shape_.width, size = group_ * shape_.width;
    for (int64_t i = 0; i < tokens; ++i) {
      std::copy_n(query_.const_data_ptr<T>() + (first + i) * query_.stride(0) + at, size,
                  scratch.queries.get() + i * size);
    }
    const ScoreBlock all = block(scratch, 0, tokens * group_, panel);
    all.clear();
    add_shared(head, first, tokens, scratch);
    for (int64_t i = 0; i < tokens; ++i) {
      add_own(head, i, rows_[static_cast<std::size_t>(first + i)], scratch);
    }
    normalise(all, scratch.probabilities.get());
    for (int64_t i = 0; i < tokens; ++i) {
      std::copy_n(scratch.probabilities.get() + i * size, size,
                  mixed_.mutable_data_ptr<T>() + (first + i) * mixed_.stride(0) + at);
    }
  }

  void add_shared(int64_t head, int64_t first, int64_t tokens, Scratch& scratch) {
    const int64_t width = shape_.width;
    const int64_t padded = round_up(shared_.length, panel);
    if (padded == 0) {
      return;
    }
    const T* keys = shared_.keys.template const_data_ptr<T>() + head * shared_.padded * width;
    const T* values = shared_.values.template const_data_ptr<T>() + head * shared_.padded * width;
    for (int64_t key = 0; key < padded; key += keys_at_once) {
      const int64_t columns = std::min(keys_at_once, padded - key);
      const ScoreBlock here = block(scratch, 0, tokens * group_, columns);
      score(here.rows, columns, width, scratch.queries.get(), keys + key * width, here.scores);
      for (int64_t row = 0; row < here.rows; ++row) {
        mask(here.scores + row * columns, columns,
             rows_[static_cast<std::size_t>(first + row / group_)].shared - key);
      }
      soften(here, scratch.probabilities.get());
      mix(here, scratch.probabilities.get(), values, shared_.padded, key);
    }
  }

  void add_own(int64_t head, int64_t token, const CachedRow& row, Scratch& scratch) {
    const OwnKeys& own = *row.own;
    const int64_t size = own.block_tokens_ * shape_.width;
    const T* queries = scratch.queries.get() + token * group_ * shape_.width;
    const ScoreBlock here = block(scratch, token * group_, group_, panel);
    for (int64_t key = 0; key < row.own_count; key += panel) {
      const Tensor& kept = own.blocks_[static_cast<std::size_t>(key / own.block_tokens_)];
      const T* keys = kept.const_data_ptr<T>() + head * size;
      const int64_t within = key % own.block_tokens_;
      score(group_, panel, shape_.width, queries, keys + within * shape_.width, here.scores);
      for (int64_t i = 0; i < group_; ++i) {
        mask(here.scores + i * panel, panel, row.own_count - key);
      }
      soften(here, scratch.probabilities.get());
      mix(here, scratch.probabilities.get(), keys + kept.stride(0), own.block_tokens_, within);
    }
  }

  /// Leaves the first `count` of a row's scores.
  static void mask(float* scores, int64_t columns, int64_t count) {
    const int64_t kept = std::clamp<int64_t>(count, 0, columns);
    std::fill(scores + kept, scores + columns, -std::numeric_limits<float>::infinity());
  }

  const Tensor& query_;
  const HeadShape& shape_;
  const SharedKeys& shared_;
  const std::span<const CachedRow> rows_;
  const int64_t group_;   // heads that share keys
  const int64_t tokens_;  // of a block
  Tensor mixed_;
};

Tensor cached_attention(const Tensor& query, const HeadShape& shape, const SharedKeys& shared,
                        std::span<const CachedRow> rows) {
  return query.scalar_type() == at::kFloat
             ? CachedAttention<float>(query, shape, shared, rows).run()
             : CachedAttention<at::BFloat16>(query, shape, shared, rows).run();
}

}  // namespace longhand
