#include "nn/int8_linear.h"

#include "core/error.h"
#include "nn/lanes.h"
#include "nn/operators.h"
#include "nn/parallel.h"

namespace longhand {
namespace {

using at::BFloat16;
using at::Tensor;
using std::int64_t;

constexpr float largest = 127;    // of a quantised number
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

/// Inputs in 8 bits [rows, in], and what a row's numbers are multiplied by, [rows, 1].
struct Quantised {
  Tensor numbers, scales;
};

template <class T>
Quantised quantised_rows(const Tensor& x) {
  const int64_t rows = x.size(0), width = x.size(1);
  Quantised q{at::empty({rows, width}, at::kByte), at::empty({rows, 1}, at::kFloat)};
  const T* data = x.const_data_ptr<T>();
  auto* numbers = q.numbers.mutable_data_ptr<std::uint8_t>();
  auto* scales = q.scales.mutable_data_ptr<float>();
  parallel_for(
      rows,
      [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
          scales[row] = quantised(data + row * x.stride(0), width, numbers + row * width);
        }
      },
      few_rows);
  return q;
}

}  // namespace

bool int8_runs() { return __builtin_cpu_supports("avx512vnni") != 0; }

Int8Linear::Int8Linear(const Tensor& weight) {
  if (weight.size(1) % lane_count != 0) {
    fail(Kind::internal, "a layer of {} inputs in 8 bits: expected a multiple of {}",
         weight.size(1), lane_count);
  }
  static const auto prepack =
      operator_named<Tensor(Tensor, std::optional<c10::List<std::int64_t>>)>(
          "onednn::qlinear_prepack");
  const Tensor wide = weight.to(at::kFloat);
  scales_ = std::get<0>(wide.abs().max(1)).div_(largest).clamp_min_(1e-30);
  zeros_ = at::zeros({weight.size(0)}, at::kLong);
  packed_ = prepack.call(at::round(wide / scales_.unsqueeze(1)).to(at::kChar), std::nullopt);
}

Tensor Int8Linear::forward(const Tensor& x, const Tensor& bias) const {
  static const auto multiply = operator_named<Tensor(
      Tensor, double, std::int64_t, Tensor, Tensor, Tensor, std::optional<Tensor>, double,
      std::int64_t, std::optional<at::ScalarType>, std::string_view,
      c10::List<std::optional<at::Scalar>>, std::string_view)>("onednn::qlinear_pointwise");
  const Quantised q =
      x.scalar_type() == at::kFloat ? quantised_rows<float>(x) : quantised_rows<BFloat16>(x);
  Tensor wide = multiply.call(q.numbers, 1, offset, packed_, scales_, zeros_, std::nullopt, 1, 0,
                              at::kFloat, "none", c10::List<std::optional<at::Scalar>>(), "");
  wide.mul_(q.scales);
  if (bias.defined()) {
    wide.add_(bias);
  }
  return wide.to(x.scalar_type());
}

}  // namespace longhand
