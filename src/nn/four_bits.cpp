#include "nn/four_bits.h"

#include <algorithm>
#include <array>
#include <vector>

#include "nn/attention_blocks.h"
#include "nn/lanes.h"

namespace longhand::four_bits {
namespace {

using at::Tensor;
using std::int64_t;

constexpr float least = -8, most = 7;  // of a number
constexpr float middle = 7.5;          // which a group's largest weight becomes, of either sign
constexpr int most_step = 15;

constexpr int64_t quad = group<std::int8_t>;   // inputs that lie together
constexpr int64_t quads = group_width / quad;  // of a group
constexpr int64_t quad_bytes = panel * quad;   // of all outputs
constexpr int64_t group_bytes = panel + quads / 2 * quad_bytes;

using Bytes = std::uint8_t __attribute__((vector_size(64)));  // 16 outputs, 4 inputs of each
using Words = std::uint16_t __attribute__((vector_size(64)));
using Outputs = std::uint32_t __attribute__((vector_size(64)));
using OutputBytes = std::uint8_t __attribute__((vector_size(16)));

using Group = std::array<Lanes, group_width / lane_count>;

/// x / step, rounded to numbers of 4 bits.
[[gnu::always_inline]] inline void rounded_to(const Group& x, float step, Group& numbers) {
  constexpr float to_integer = 0x1.8p23F;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const Lanes whole = (x[i] * (1 / step) + to_integer) - to_integer;
    const Lanes above = whole < least ? Lanes{} + least : whole;
    numbers[i] = above > most ? Lanes{} + most : above;
  }
}

/// One group of weights in units of their row's scale → its numbers; returns the step.
LONGHAND_CLONES std::uint8_t rounded_group(const float* weights, float inverse, std::int8_t* to) {
  Group x;
  Lanes top{};
  for (std::size_t i = 0; i < x.size(); ++i) {
    load(weights + i * lane_count, x[i]);
    x[i] *= inverse;
    const Lanes size = x[i] < 0.0F ? -x[i] : x[i];
    top = size > top ? size : top;
  }
  const float largest = reduce(top, [](float a, float b) { return a > b ? a : b; });
  const int near = std::clamp(static_cast<int>(largest / middle + 0.5F), 1, most_step);
  int best = near;
  float least_error = std::numeric_limits<float>::infinity();
  Group numbers;
  for (int step = std::max(near - 1, 1); step <= std::min(near + 1, most_step); ++step) {
    rounded_to(x, static_cast<float>(step), numbers);
    Lanes squares{};
    for (std::size_t i = 0; i < x.size(); ++i) {
      const Lanes difference = numbers[i] * static_cast<float>(step) - x[i];
      squares += difference * difference;
    }
    const float error = reduce(squares, [](float a, float b) { return a + b; });
    if (error < least_error) {
      least_error = error;
      best = step;
    }
  }
  rounded_to(x, static_cast<float>(best), numbers);
  std::array<float, group_width> flat;
  for (std::size_t i = 0; i < x.size(); ++i) {
    store(numbers[i], flat.data() + i * lane_count);
  }
  std::ranges::transform(flat, to, [](float number) { return static_cast<std::int8_t>(number); });
  return static_cast<std::uint8_t>(best);
}

/// As declared; numbers of 16 bits are multiplied by one instruction where there is AVX-512 BW.
__attribute__((target_clones("avx512bw", "avx2", "default"))) void unpack_groups(
    const std::uint8_t* from, int64_t groups, std::int8_t* to) {
  for (int64_t i = 0; i < groups; ++i, from += group_bytes, to += quads * quad_bytes) {
    for (int64_t at = 0; at < panel; at += lane_count) {
      OutputBytes bytes;
      __builtin_memcpy(&bytes, from + at, sizeof(bytes));
      const Outputs steps = __builtin_convertvector(bytes, Outputs);
      // Numbers are stored from 0 to 15: times 15 at most they stay within their byte, so that one
      // product of 16 bits is two of 8.
      const Words twice = reinterpret_cast<Words>(steps * 0x00010001);
      const Bytes offset = reinterpret_cast<Bytes>(steps * 0x08080808);
      const std::uint8_t* pairs = from + panel + at * quad;
      std::int8_t* target = to + at * quad;
      for (int64_t pair = 0; pair < quads / 2; ++pair, pairs += quad_bytes) {
        Words both;
        __builtin_memcpy(&both, pairs, sizeof(both));
        const Bytes first = reinterpret_cast<Bytes>((both & 0x0F0F) * twice) - offset;
        const Bytes second = reinterpret_cast<Bytes>((both >> 4 & 0x0F0F) * twice) - offset;
        __builtin_memcpy(target, &first, sizeof(first));
        __builtin_memcpy(target + quad_bytes, &second, sizeof(second));
        target += 2 * quad_bytes;
      }
    }
  }
}

}  // namespace

Rows rounded(const Tensor& weight) {
  const int64_t count = weight.size(0), in = weight.size(1), groups = in / group_width;
  Rows rows{at::empty({count, in}, at::kChar), at::empty({count, groups}, at::kByte),
            std::get<0>(weight.abs().max(1)).div_(middle * most_step).clamp_min_(1e-30)};
  const float* weights = weight.const_data_ptr<float>();
  const float* scales = rows.scales.const_data_ptr<float>();
  auto* numbers = rows.numbers.mutable_data_ptr<std::int8_t>();
  auto* steps = rows.steps.mutable_data_ptr<std::uint8_t>();
  for (int64_t i = 0; i < count * groups; ++i) {
    steps[i] =
        rounded_group(weights + i * group_width, 1 / scales[i / groups], numbers + i * group_width);
  }
  return rows;
}

int64_t panel_bytes(int64_t in) { return in / group_width * group_bytes; }

void pack(const Rows& rows, std::uint8_t* to) {
  const int64_t count = rows.numbers.size(0), in = rows.numbers.size(1), groups = in / group_width;
  const auto* numbers = rows.numbers.const_data_ptr<std::int8_t>();
  const auto* steps = rows.steps.const_data_ptr<std::uint8_t>();
  std::vector<std::int8_t> together(static_cast<std::size_t>(group_width * panel));
  for (int64_t i = 0; i < groups; ++i, to += group_bytes) {
    std::fill_n(to, panel, std::uint8_t{0});
    for (int64_t row = 0; row < count; ++row) {
      to[row] = steps[row * groups + i];
    }
    longhand::pack<std::int8_t>({numbers + i * group_width, group_width, count, 1, in}, group_width,
                                panel, together.data());
    for (int64_t at = 0; at < quads / 2 * quad_bytes; ++at) {
      const std::int8_t* first =
          together.data() + at / quad_bytes * 2 * quad_bytes + at % quad_bytes;
      to[panel + at] = static_cast<std::uint8_t>((first[0] + 8) | (first[quad_bytes] + 8) << 4);
    }
  }
}

void unpack(const std::uint8_t* packed, int64_t in, std::int8_t* to) {
  unpack_groups(packed, in / group_width, to);
}

}  // namespace longhand::four_bits
