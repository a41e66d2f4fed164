#include "nn/int8_linear.h"

#include <optional>
#include <span>
#include <vector>

#include "core/error.h"
#include "nn/amx.h"
#include "nn/attention_blocks.h"
#include "nn/lanes.h"
#include "nn/parallel.h"

namespace longhand {
namespace {

using at::BFloat16;
using at::Tensor;
using std::int64_t;

constexpr float largest = 127;    // of a quantised number
constexpr int64_t chunk = 1024;   // inputs whose products stay in the second cache
constexpr int offset = 128;       // inputs are stored without a sign
constexpr int64_t few_rows = 16;  // waking a thread for them takes longer than quantising them

using LaneInts = std::int32_t __attribute__((vector_size(64)));
using LaneBytes = std::uint8_t __attribute__((vector_size(16)));

/// Rounds a row to 8 bits, offset so that none is negative; returns what one step stands for.
template <class T>
[[gnu::always_inline]] inline float quantised_row(const T* x, int64_t width, std::uint8_t* to) {
  Lanes part, top{};
  for (int64_t i = 0; i < width; i += lane_count) {
    load(x + i, part);
    part = part < 0.0F ? -part : part;
    top = part > top ? part : top;
  }
  const float most = reduce(top, [](float a, float b) { return a > b ? a : b; });
  const float inverse = most > 0 ? largest / most : 0;
  for (int64_t i = 0; i < width; i += lane_count) {
    load(x + i, part);
    // Half a step more, and cut: the sum is never negative.
    const LaneInts whole = __builtin_convertvector(part * inverse + (offset + 0.5F), LaneInts);
    const LaneBytes bytes = __builtin_convertvector(whole, LaneBytes);
    __builtin_memcpy(to + i, &bytes, sizeof(bytes));
  }
  return most / largest;
}

LONGHAND_CLONES float quantised(const float* x, int64_t width, std::uint8_t* to) {
  return quantised_row(x, width, to);
}
LONGHAND_CLONES float quantised(const BFloat16* x, int64_t width, std::uint8_t* to) {
  return quantised_row(x, width, to);
}

/// Inputs in 8 bits [rows, in] and what a row's numbers are multiplied by, [rows, 1].
struct Quantised {
  Tensor numbers, scales;
};

template <class T>
Quantised quantised_rows(const Tensor& x) {
  const int64_t rows = x.size(0), width = x.size(1);
  // Rows a page apart would share the same few lines of the nearest cache; tiles read whole blocks.
  const Tensor wide = at::empty({round_up(rows, AmxTiles::rows), width + panel}, at::kByte);
  Quantised q{wide.narrow(0, 0, rows).narrow(1, 0, width), at::empty({rows, 1}, at::kFloat)};
  const T* data = x.const_data_ptr<T>();
  auto* numbers = q.numbers.mutable_data_ptr<std::uint8_t>();
  auto* scales = q.scales.mutable_data_ptr<float>();
  parallel_for(
      rows,
      [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
          scales[row] =
              quantised(data + row * x.stride(0), width, numbers + row * q.numbers.stride(0));
        }
      },
      few_rows);
  return q;
}

/// What a panel's sums of products stand for.
struct Panel {
  const std::int32_t* offsets;  // what the inputs' offset adds to a sum
  const float* scales;
  const float* bias;  // null: none
};

template <class T>
[[gnu::always_inline]] inline void dequantised_row(const std::int32_t* sums, float scale,
                                                   const Panel& p, T* to) {
  for (int64_t i = 0; i < panel; i += lane_count) {
    LaneInts sum, offsets;
    Lanes scales, bias{};
    __builtin_memcpy(&sum, sums + i, sizeof(sum));
    __builtin_memcpy(&offsets, p.offsets + i, sizeof(offsets));
    load(p.scales + i, scales);
    if (p.bias != nullptr) {
      load(p.bias + i, bias);
    }
    store(__builtin_convertvector(sum - offsets, Lanes) * scales * scale + bias, to + i);
  }
}

LONGHAND_CLONES void dequantised(const std::int32_t* sums, float scale, const Panel& p, float* to) {
  dequantised_row(sums, scale, p, to);
}
LONGHAND_CLONES void dequantised(const std::int32_t* sums, float scale, const Panel& p,
                                 BFloat16* to) {
  dequantised_row(sums, scale, p, to);
}

/// What a thread multiplies with.
struct Multiplier {
  explicit Multiplier(const Quantised& q)
      : sums(static_cast<std::size_t>(round_up(q.numbers.size(0), AmxTiles::rows) * panel)) {
    if (q.numbers.size(1) % AmxTiles::inner == 0 && amx_int8_runs()) {
      tiles.emplace();
    }
  }
  ~Multiplier() {
    if (!tiles) {
      at::native::cpublas::brgemm_release();
    }
  }
  Multiplier(const Multiplier&) = delete;
  Multiplier& operator=(const Multiplier&) = delete;

  std::optional<AmxTiles> tiles;
  std::vector<std::int32_t> sums;  // [rows, 64]
};

/// Products of all rows with one panel [in, 64] → m.sums. `weights` are read from memory once; with
/// tiles, what follows them, until `end`, is fetched on the way.
void multiply(const Quantised& q, const std::int8_t* weights, const std::int8_t* end,
              Multiplier& m) {
  const int64_t rows = q.numbers.size(0), in = q.numbers.size(1), stride = q.numbers.stride(0);
  const auto* numbers = q.numbers.const_data_ptr<std::uint8_t>();
  for (int64_t first = 0; first < in; first += chunk) {
    const int64_t width = std::min(chunk, in - first);
    const std::int8_t* next = weights + width * panel;
    if (m.tiles) {
      m.tiles->product(numbers + first, round_up(rows, AmxTiles::rows), stride, weights, width,
                       m.sums.data(), first > 0, {next, std::min(next + width * panel, end)});
    } else {
      at::native::cpublas::brgemm(rows, panel, width, stride, panel, panel, first > 0,
                                  numbers + first, weights, m.sums.data());
    }
    weights = next;
  }
}

/// A panel's outputs, for all rows.
template <class T>
void outputs(const std::vector<std::int32_t>& sums, const Quantised& q, const Panel& p, T* to,
             int64_t stride) {
  const auto* scales = q.scales.const_data_ptr<float>();
  for (int64_t row = 0; row < q.numbers.size(0); ++row) {
    dequantised(sums.data() + row * panel, scales[row], p, to + row * stride);
  }
}

}  // namespace

bool int8_runs() { return __builtin_cpu_supports("avx512vnni") != 0; }

Int8Linear::Int8Linear(const Tensor& weight) : out_(weight.size(0)) {
  const int64_t in = weight.size(1), panels = round_up(out_, panel) / panel;
  if (in % lane_count != 0) {
    fail(Kind::internal, "a layer of {} inputs in 8 bits: expected a multiple of {}", in,
         lane_count);
  }
  packed_ = at::empty({panels, in * panel}, at::kChar);
  scales_ = at::zeros({panels * panel}, at::kFloat);
  offsets_ = at::zeros({panels * panel}, at::kInt);
  parallel_for(panels, [&](int64_t begin, int64_t end) {
    const c10::InferenceMode inference;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i * panel, some = std::min(panel, out_ - first);
      const Tensor wide = weight.narrow(0, first, some).to(at::kFloat);
      const Tensor scales = std::get<0>(wide.abs().max(1)).div_(largest).clamp_min_(1e-30);
      const Tensor rounded = at::round(wide / scales.unsqueeze(1)).to(at::kChar);
      pack<std::int8_t>({rounded.const_data_ptr<std::int8_t>(), in, some, 1, in}, in, panel,
                        packed_.mutable_data_ptr<std::int8_t>() + first * in);
      const Tensor offsets = rounded.sum(1, false, at::kInt) * offset;
      std::copy_n(scales.const_data_ptr<float>(), some, scales_.mutable_data_ptr<float>() + first);
      std::copy_n(offsets.const_data_ptr<std::int32_t>(), some,
                  offsets_.mutable_data_ptr<std::int32_t>() + first);
    }
  });
}

Tensor Int8Linear::forward(const Tensor& x, const Tensor& bias) const {
  const bool wide = x.scalar_type() == at::kFloat;
  const Quantised q = wide ? quantised_rows<float>(x) : quantised_rows<BFloat16>(x);
  const int64_t columns = scales_.size(0);
  const Tensor shift =
      bias.defined() ? at::constant_pad_nd(bias.to(at::kFloat), {0, columns - out_}) : bias;
  const Tensor y = at::empty({x.size(0), columns}, x.options());
  const std::int8_t* packed = packed_.const_data_ptr<std::int8_t>();
  const int64_t stride = packed_.stride(0);
  parallel_for(packed_.size(0), [&](int64_t begin, int64_t end) {
    Multiplier m(q);
    for (int64_t i = begin; i < end; ++i) {
      multiply(q, packed + i * stride, packed + end * stride, m);
      const int64_t first = i * panel;
      const Panel p{offsets_.const_data_ptr<std::int32_t>() + first,
                    scales_.const_data_ptr<float>() + first,
                    shift.defined() ? shift.const_data_ptr<float>() + first : nullptr};
      if (wide) {
        outputs(m.sums, q, p, y.mutable_data_ptr<float>() + first, columns);
      } else {
        outputs(m.sums, q, p, y.mutable_data_ptr<BFloat16>() + first, columns);
      }
    }
  });
  return columns == out_ ? y : y.narrow(1, 0, out_).contiguous();
}

}  // namespace longhand
