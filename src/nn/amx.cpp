#include "nn/amx.h"

#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

#include "nn/attention_blocks.h"

#define LONGHAND_AMX __attribute__((target("amx-tile,amx-int8")))

namespace longhand {
namespace {

using std::int64_t;

constexpr int64_t tile_rows = 16, tile_bytes = 64;  // of a tile's row
constexpr int64_t line = 64;                        // bytes of a cache's line
constexpr int64_t sums_stride = panel * static_cast<int64_t>(sizeof(std::int32_t));
constexpr int64_t quad_stride = panel * group<std::int8_t>;  // between a tile's rows of weights

/// What LDTILECFG reads.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1, start_row = 0;
  std::array<std::uint8_t, 14> reserved{};
  std::array<std::uint16_t, 16> row_bytes{};
  std::array<std::uint8_t, 16> rows{};
};

/// Bytes that are still to be fetched, so many lines at a time.
struct Fetch {
  const char* from;
  const char* end;
  int64_t lines;
  void some() {
    for (int64_t i = 0; i < lines && from < end; ++i, from += line) {
      _mm_prefetch(from, _MM_HINT_T1);
    }
  }
};

/// [32, inner] · [inner, 32] → [32, 32] in four tiles of sums.
LONGHAND_AMX void block(const std::uint8_t* numbers, int64_t row_stride, const std::int8_t* weights,
                        int64_t inner, std::int32_t* sums, bool add, Fetch& fetch) {
  const std::uint8_t* below = numbers + tile_rows * row_stride;
  if (add) {
    _tile_loadd(0, sums, sums_stride);
    _tile_loadd(1, sums + tile_rows, sums_stride);
    _tile_loadd(2, sums + tile_rows * panel, sums_stride);
    _tile_loadd(3, sums + tile_rows * panel + tile_rows, sums_stride);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int64_t k = 0; k < inner; k += tile_bytes, weights += tile_rows * quad_stride) {
    _tile_loadd(6, weights, quad_stride);
    _tile_loadd(4, numbers + k, row_stride);
    _tile_dpbusd(0, 4, 6);
    _tile_loadd(7, weights + tile_bytes, quad_stride);
    _tile_dpbusd(1, 4, 7);
    _tile_loadd(5, below + k, row_stride);
    _tile_dpbusd(2, 5, 6);
    _tile_dpbusd(3, 5, 7);
    fetch.some();
  }
  _tile_stored(0, sums, sums_stride);
  _tile_stored(1, sums + tile_rows, sums_stride);
  _tile_stored(2, sums + tile_rows * panel, sums_stride);
  _tile_stored(3, sums + tile_rows * panel + tile_rows, sums_stride);
}

}  // namespace

bool amx_int8_runs() {
  constexpr int request_permission = 0x1023, tile_data = 18;  // arch_prctl's
  static const bool runs = __builtin_cpu_supports("amx-int8") != 0 &&
                           syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
  return runs;
}

LONGHAND_AMX AmxTiles::AmxTiles() {
  TileConfig config;
  for (std::size_t tile = 0; tile < 8; ++tile) {
    config.row_bytes[tile] = tile_bytes;
    config.rows[tile] = tile_rows;
  }
  _tile_loadconfig(&config);
}

LONGHAND_AMX AmxTiles::~AmxTiles() { _tile_release(); }

void AmxTiles::product(const std::uint8_t* numbers, int64_t count, int64_t row_stride,
                       const std::int8_t* weights, int64_t width, std::int32_t* sums, bool add,
                       std::span<const std::int8_t> next) const {
  const int64_t steps = count / rows * 2 * (width / inner);
  const char* from = reinterpret_cast<const char*>(next.data());
  Fetch fetch{from, from + next.size(), (std::ssize(next) / line + steps - 1) / steps};
  for (int64_t row = 0; row < count; row += rows) {
    for (int64_t column = 0; column < panel; column += 2 * tile_rows) {
      block(numbers + row * row_stride, row_stride, weights + column * group<std::int8_t>, width,
            sums + row * panel + column, add, fetch);
    }
  }
}

}  // namespace longhand
