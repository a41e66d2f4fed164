// Attention of a language model that decodes many sequences: over keys and values that they begin
// with, as one product for all of them, and over each sequence's own. Both parts go through one
// online softmax, which is joining them by their log-sum-exp (Juravsky et al. 2024, "Hydragen",
// section 3).
#pragma once

#include <span>
#include <vector>

#include "nn/torch.h"

namespace longhand {

/// How a layer's queries, keys and values are shaped.
struct HeadShape {
  std::int64_t heads, kv_heads, width;  // width: a multiple of 16
};

/// True where cached_attention() takes this type on this processor.
bool cached_attention_runs(at::ScalarType dtype);

/// What sequences share, of one layer, packed for block products, [kv_heads, padded · width].
struct SharedKeys {
  at::Tensor keys, values;
  std::int64_t length = 0, padded = 0;  // padded: a multiple of 64
};

/// A sequence's own keys and values of one layer, packed as they come, in blocks that are made as
/// they are needed. Not to be copied while they grow: copies share memory.
class OwnKeys {
 public:
  OwnKeys() = default;
  OwnKeys(const HeadShape& shape, at::ScalarType dtype, std::int64_t block_tokens = 64);
  /// Makes room for so many tokens.
  void reserve(std::int64_t tokens);
  /// Puts a token's key and value, a row of [rows, kv_heads · width] each, at a place that there is
  /// room for. Different places may be put at the same time.
  void put(std::int64_t place, const at::Tensor& key, const at::Tensor& value, std::int64_t row);
  /// The first `length` of them, all in one block, for sequences that share them.
  SharedKeys shared(std::int64_t length) const;

 private:
  template <class T>
  friend class CachedAttention;
  HeadShape shape_{};
  at::ScalarType dtype_ = at::kFloat;
  std::int64_t block_tokens_ = 0;   // a multiple of 64
  std::vector<at::Tensor> blocks_;  // [2, kv_heads, block_tokens · width]: keys, and values
};

/// A token: what of the shared keys its sequence begins with, and its sequence's own keys up to
/// itself.
struct CachedRow {
  std::int64_t shared;
  const OwnKeys* own;
  std::int64_t own_count;
};

/// query [rows, heads · width], a group of heads / kv_heads neighbours to each of the kv_heads →
/// the same shape.
at::Tensor cached_attention(const at::Tensor& query, const HeadShape& shape,
                            const SharedKeys& shared, std::span<const CachedRow> rows);

}  // namespace longhand
