#include "nn/quantised_linear.h"

#include <optional>
#include <span>
#include <vector>

#include "core/error.h"
#include "nn/amx.h"
#include "nn/attention_blocks.h"
#include "nn/four_bits.h"
#include "nn/lanes.h"
#include "nn/parallel.h"

namespace longhand {
namespace {

using at::BFloat16;
using at::Tensor;
using std::int64_t;

constexpr float largest = 127;   // of a quantised number
constexpr int64_t chunk = 1024;  // inputs whose products stay in the second cache
constexpr int64_t panels_together = 4;
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
  explicit Multiplier(const Quantised& q, int bits)
      : sums(static_cast<std::size_t>(round_up(q.numbers.size(0), AmxTiles::rows) * panel)),
        unpacked(static_cast<std::size_t>(bits == 4 ? chunk * panel : 0)) {
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
  std::vector<std::int32_t> sums;     // [rows, 64]
  std::vector<std::int8_t> unpacked;  // [chunk / 4, 64, 4]
};

/// Products of all rows with one panel [in, 64] → m.sums. `packed` is read from memory once; with
/// tiles, what follows it, until `end`, is fetched on the way.
void multiply(const Quantised& q, const std::int8_t* packed, const std::int8_t* end, int bits,
              Multiplier& m) {
  const int64_t rows = q.numbers.size(0), in = q.numbers.size(1), stride = q.numbers.stride(0);
  const auto* numbers = q.numbers.const_data_ptr<std::uint8_t>();
  for (int64_t first = 0; first < in; first += chunk) {
    const int64_t width = std::min(chunk, in - first);
    const int64_t bytes = bits == 4 ? four_bits::panel_bytes(width) : width * panel;
    const std::int8_t* weights = packed;
    if (bits == 4) {
      four_bits::unpack(reinterpret_cast<const std::uint8_t*>(packed), width, m.unpacked.data());
      weights = m.unpacked.data();
    }
    packed += bytes;
    if (m.tiles) {
      m.tiles->product(numbers + first, round_up(rows, AmxTiles::rows), stride, weights, width,
                       m.sums.data(), first > 0, {packed, std::min(packed + bytes, end)});
    } else {
      at::native::cpublas::brgemm(rows, panel, width, stride, panel, panel, first > 0,
                                  numbers + first, weights, m.sums.data());
    }
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

/// A panel's weights as whole numbers, [some, in], and their rows' scales.
struct Rounded {
  Tensor numbers, scales;
};

/// Rounds some rows to 8 bits and lays them out as a panel.
Rounded packed_in_eight(const Tensor& rows, std::int8_t* to) {
  const int64_t some = rows.size(0), in = rows.size(1);
  Tensor scales = std::get<0>(rows.abs().max(1)).div_(largest).clamp_min_(1e-30);
  Tensor numbers = at::round(rows / scales.unsqueeze(1)).to(at::kChar);
  pack<std::int8_t>({numbers.const_data_ptr<std::int8_t>(), in, some, 1, in}, in, panel, to);
  return {numbers, scales};
}

/// The same in 4 bits.
Rounded packed_in_four(const Tensor& rows, std::int8_t* to) {
  const four_bits::Rows rounded = four_bits::rounded(rows);
  four_bits::pack(rounded, reinterpret_cast<std::uint8_t*>(to));
  const Tensor steps = rounded.steps.to(at::kChar).repeat_interleave(four_bits::group_width, 1);
  return {rounded.numbers * steps, rounded.scales};
}

}  // namespace

bool int8_runs() { return __builtin_cpu_supports("avx512vnni") != 0; }

QuantisedLinear::QuantisedLinear(const Tensor& weight, int bits)
    : out_(weight.size(0)), bits_(bits) {
  const int64_t in = weight.size(1), panels = round_up(out_, panel) / panel;
  const int64_t multiple = bits == 4 ? four_bits::group_width : lane_count;
  if (in % multiple != 0) {
    fail(Kind::internal, "a layer of {} inputs in {} bits: expected a multiple of {}", in, bits,
         multiple);
  }
  packed_ = at::empty({panels, bits == 4 ? four_bits::panel_bytes(in) : in * panel}, at::kChar);
  scales_ = at::zeros({panels * panel}, at::kFloat);
  offsets_ = at::zeros({panels * panel}, at::kInt);
  parallel_for(panels, [&](int64_t begin, int64_t end) {
    const c10::InferenceMode inference;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i * panel, some = std::min(panel, out_ - first);
      const Tensor rows = weight.narrow(0, first, some).to(at::kFloat).contiguous();
      std::int8_t* to = packed_.mutable_data_ptr<std::int8_t>() + i * packed_.stride(0);
      const auto [numbers, scales] =
          bits == 4 ? packed_in_four(rows, to) : packed_in_eight(rows, to);
      const Tensor offsets = numbers.sum(1, false, at::kInt) * offset;
      std::copy_n(scales.const_data_ptr<float>(), some, scales_.mutable_data_ptr<float>() + first);
      std::copy_n(offsets.const_data_ptr<std::int32_t>(), some,
                  offsets_.mutable_data_ptr<std::int32_t>() + first);
    }
  });
}

Tensor QuantisedLinear::forward(const Tensor& x, const Tensor& bias) const {
  const bool wide = x.scalar_type() == at::kFloat;
  const Quantised q = wide ? quantised_rows<float>(x) : quantised_rows<BFloat16>(x);
  const int64_t columns = scales_.size(0);
  const Tensor shift =
      bias.defined() ? at::constant_pad_nd(bias.to(at::kFloat), {0, columns - out_}) : bias;
  const Tensor y = at::empty({x.size(0), columns}, x.options());
  const std::int8_t* packed = packed_.const_data_ptr<std::int8_t>();
  const int64_t stride = packed_.stride(0);
  Queue panels(packed_.size(0), panels_together);
  on_each_thread([&] {
    Multiplier m(q, bits_);
    for (auto block = panels.take(); block.begin < block.end; block = panels.take()) {
      for (int64_t i = block.begin; i < block.end; ++i) {
        multiply(q, packed + i * stride, packed + block.end * stride, bits_, m);
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
    }
  });
  return columns == out_ ? y : y.narrow(1, 0, out_).contiguous();
}

}  // namespace longhand
