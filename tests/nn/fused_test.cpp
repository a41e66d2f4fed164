// Fused kernels beside the operators that they replace, in float64.
#include "nn/fused.h"

#include <doctest/doctest.h>

#include "core/error.h"
#include "nn/layers.h"
#include "nn/trained.h"

using namespace longhand;

namespace {

double relative_error(const Tensor& answer, const Tensor& exact) {
  REQUIRE(answer.sizes() == exact.sizes());
  return ((answer.to(at::kDouble) - exact).abs() / (exact.abs() + 1e-3)).max().item<double>();
}

double relative_to_largest(const Tensor& answer, const Tensor& exact) {
  REQUIRE(answer.sizes() == exact.sizes());
  return ((answer.to(at::kDouble) - exact).abs().max() / exact.abs().max()).item<double>();
}

/// The last digit of a type, and what float32 loses on the way.
double tolerance(at::ScalarType dtype) { return dtype == at::kFloat ? 1e-5 : 0x1p-8; }

}  // namespace

TEST_CASE("a group norm whose groups do not divide its channels is refused") {
  Weights weights = Weights::fresh(1);
  for (const int groups : {0, 5, 32}) {
    CHECK_THROWS_AS(GroupNorm(Scope(weights) / groups, groups, 16, 1e-5), Error);
  }
  CHECK_NOTHROW(GroupNorm(Scope(weights) / "norm", 4, 16, 1e-5));
}

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

TEST_CASE("trained_group_norm: values and gradients") {
  at::manual_seed(3);
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (const auto& [size, groups, channels] : {std::array{1, 1, 16}, {5, 32, 64}, {33, 8, 48}}) {
      for (const bool silu : {true, false}) {
        for (const bool modulated : {true, false}) {
          CAPTURE(channels);
          CAPTURE(silu);
          CAPTURE(modulated);
          std::vector<Tensor> narrow = {(at::randn({2, channels, size, size + 2}) * 2 + 1)
                                            .to(dtype)
                                            .contiguous(at::MemoryFormat::ChannelsLast),
                                        at::randn({channels}).to(dtype),
                                        at::randn({channels}).to(dtype)};
          if (modulated) {
            narrow.push_back(at::randn({2, channels}).to(dtype));
            narrow.push_back(at::randn({2, channels}).to(dtype));
          }
          std::vector<Tensor> wide;
          for (Tensor& each : narrow) {
            wide.push_back(each.to(at::kDouble).requires_grad_(true));
            each.requires_grad_(true);
          }
          const Tensor y = trained_group_norm(narrow[0], groups, narrow[1], narrow[2], 1e-5,
                                              silu ? AfterNorm::silu : AfterNorm::nothing,
                                              modulated ? narrow[3] : Tensor(),
                                              modulated ? narrow[4] : Tensor());
          Tensor exact = at::group_norm(wide[0], groups, wide[1], wide[2], 1e-5);
          if (modulated) {
            exact =
                exact * (1 + wide[3].unsqueeze(2).unsqueeze(3)) + wide[4].unsqueeze(2).unsqueeze(3);
          }
          exact = silu ? at::silu(exact) : exact;
          CHECK(relative_to_largest(y, exact) < tolerance(dtype));
          const Tensor gradient = at::randn_like(y);
          y.backward(gradient);
          exact.backward(gradient.to(at::kDouble));
          for (std::size_t i = 0; i < narrow.size(); ++i) {
            CAPTURE(i);
            CHECK(relative_to_largest(narrow[i].grad(), wide[i].grad()) < tolerance(dtype));
          }
        }
      }
    }
  }
}

TEST_CASE("trained_geglu: values and gradients") {
  at::manual_seed(4);
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    Tensor x = (at::randn({3, 7, 96}) * 3).to(dtype).requires_grad_(true);
    Tensor wide = x.detach().to(at::kDouble).requires_grad_(true);
    const auto halves = wide.chunk(2, -1);
    const Tensor exact = halves[0] * at::gelu(halves[1]);
    const Tensor y = trained_geglu(x);
    CHECK(relative_to_largest(y, exact) < tolerance(dtype));
    const Tensor gradient = at::randn_like(y);
    y.backward(gradient);
    exact.backward(gradient.to(at::kDouble));
    CHECK(relative_to_largest(x.grad(), wide.grad()) < tolerance(dtype));
  }
}
