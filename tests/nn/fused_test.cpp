// Fused kernels beside the operators that they replace, in float64.
#include "nn/fused.h"

#include <doctest/doctest.h>

#include "nn/layers.h"

using namespace longhand;

namespace {

double relative_error(const Tensor& answer, const Tensor& exact) {
  REQUIRE(answer.sizes() == exact.sizes());
  return ((answer.to(at::kDouble) - exact).abs() / (exact.abs() + 1e-3)).max().item<double>();
}

/// The last digit of a type, and what float32 loses on the way.
double tolerance(at::ScalarType dtype) { return dtype == at::kFloat ? 1e-5 : 0x1p-8; }

}  // namespace

TEST_CASE("gated_gelu") {
  at::manual_seed(1);
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (const std::int64_t channels : {16, 48, 1280}) {
      const Tensor x = (at::randn({3, 7, 2 * channels}) * 3).to(dtype);
      REQUIRE(fuses(x, channels));
      const auto halves = x.to(at::kDouble).chunk(2, -1);
      CHECK(relative_error(gated_gelu(x), halves[0] * at::gelu(halves[1])) < tolerance(dtype));
    }
  }
  const Tensor odd = at::randn({2, 14});
  CHECK_FALSE(fuses(odd, 7));
  CHECK(geglu(odd).size(1) == 7);
}

TEST_CASE("gated_gelu far out") {
  const Tensor b = at::cat({at::linspace(-100, 100, 2001), at::full({15}, -1e30F)});
  const Tensor y = gated_gelu(at::cat({at::ones_like(b), b}).unsqueeze(0)).squeeze(0);
  CHECK(relative_error(y, at::gelu(b.to(at::kDouble))) < 1e-5);
}

TEST_CASE("group_norm_silu") {
  at::manual_seed(2);
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (const auto& [size, groups, channels] :
         {std::array{1, 1, 16}, {5, 32, 64}, {16, 8, 48}, {33, 32, 320}}) {
      const Tensor x = (at::randn({2, channels, size, size + 2}) * 2 + 1)
                           .to(dtype)
                           .contiguous(at::MemoryFormat::ChannelsLast);
      const Tensor weight = at::randn({channels}).to(dtype), bias = at::randn({channels}).to(dtype);
      const auto wide = [](const Tensor& t) { return t.to(at::kDouble); };
      const Tensor exact =
          at::silu(at::group_norm(wide(x), groups, wide(weight), wide(bias), 1e-6));
      const Tensor y = group_norm_silu(x, groups, weight, bias, 1e-6);
      CHECK(y.is_contiguous(at::MemoryFormat::ChannelsLast));
      CHECK(y.dtype() == x.dtype());
      CHECK(at::allclose(wide(y), exact, tolerance(dtype), tolerance(dtype) / 4));

      const Tensor scale = at::randn({2, channels}).to(dtype),
                   shift = at::randn({2, channels}).to(dtype);
      const auto over_map = [&](const Tensor& t) { return wide(t).unsqueeze(2).unsqueeze(3); };
      const Tensor normed = at::group_norm(wide(x), groups, wide(weight), wide(bias), 1e-6);
      const Tensor modulated = group_norm_silu(x, groups, weight, bias, 1e-6, scale, shift);
      CHECK(at::allclose(wide(modulated),
                         at::silu(normed * (1 + over_map(scale)) + over_map(shift)),
                         tolerance(dtype), tolerance(dtype) / 4));
    }
  }
}
