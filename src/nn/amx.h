// Products of 8 bits on AMX's tiles (Intel's Architecture Instruction Set Extensions, chapter 3).
// What oneDNN's block product computes; this one also fetches from memory what comes next, while
// the tiles multiply.
#pragma once

#include <cstdint>
#include <span>

namespace longhand {

/// True where the processor has AMX for 8 bits and the kernel lets this process use it.
bool amx_int8_runs();

/// The shape of this thread's tiles, while it lives; only where amx_int8_runs().
class AmxTiles {
 public:
  AmxTiles();
  ~AmxTiles();
  AmxTiles(const AmxTiles&) = delete;
  AmxTiles& operator=(const AmxTiles&) = delete;

  static constexpr std::int64_t rows = 32;   // that are multiplied together
  static constexpr std::int64_t inner = 64;  // of which a product's inner width is a multiple

  /// numbers [rows, inner] · weights [inner / 4, 64, 4] (nn/attention_blocks.h) → sums [rows, 64],
  /// added to what is there if `add`; rows a multiple of 32. Meanwhile the bytes of `next` come
  /// into the second cache.
  void product(const std::uint8_t* numbers, std::int64_t rows, std::int64_t row_stride,
               const std::int8_t* weights, std::int64_t inner, std::int32_t* sums, bool add,
               std::span<const std::int8_t> next) const;
};

}  // namespace longhand
