// Layers in 8 and 4 bits beside what they stand for.
#include "nn/quantised_linear.h"

#include <array>
#include <vector>

#include "nn/four_bits.h"
#include "support.h"

using namespace longhand;

TEST_CASE("products in 8 bits are those of the rounded numbers, and near the exact ones") {
  if (!int8_runs()) {
    return;
  }
  at::manual_seed(5);
  for (const auto& [rows, in, out] : std::vector<std::array<std::int64_t, 3>>{
           {1, 64, 64}, {7, 96, 100}, {130, 576, 192}, {300, 1536, 65}}) {
    CAPTURE(rows);
    CAPTURE(out);
    const Tensor x = at::randn({rows, in}), weight = at::randn({out, in}), bias = at::randn({out});
    const auto rounded = [](const Tensor& t) {
      const Tensor scale = std::get<0>(t.abs().max(1, true)).to(at::kDouble) / 127;
      return at::round(t.to(at::kDouble) / scale) * scale;
    };
    const QuantisedLinear layer(weight, 8);
    const Tensor expected = rounded(x).matmul(rounded(weight).t()) + bias;
    // A number that lies between two of 8 bits may go either way: one step of 127 in one product.
    CHECK(relative_error(layer.forward(x, bias), expected) < 1e-3);
    const Tensor exact = x.to(at::kDouble).matmul(weight.to(at::kDouble).t());
    CHECK(relative_error(layer.forward(x, {}), exact) < 0.015);
    CHECK(relative_error(layer.forward(x.to(at::kBFloat16), {}), exact) < 0.02);
  }
  const QuantisedLinear zeros(at::zeros({64, 64}), 8);
  CHECK(zeros.forward(at::randn({3, 64}), {}).abs().max().item<float>() == 0);
  CHECK(zeros.forward(at::zeros({3, 64}), {}).abs().max().item<float>() == 0);
}

TEST_CASE("weights in 4 bits unpack to the numbers that were rounded") {
  if (!int8_runs()) {
    return;
  }
  at::manual_seed(6);
  for (const auto& [rows, in, out] :
       std::vector<std::array<std::int64_t, 3>>{{1, 64, 64}, {7, 96, 100}, {130, 1536, 65}}) {
    CAPTURE(out);
    const Tensor x = at::randn({rows, in}), bias = at::randn({out});
    // Groups of very different sizes, and one of zeros.
    const Tensor sizes = at::rand({out, in / 32, 1}) + 0.05;
    const Tensor weight = (at::randn({out, in / 32, 32}) * sizes).flatten(1);
    weight.narrow(1, 0, 32).zero_();
    const four_bits::Rows rounded = four_bits::rounded(weight);
    CHECK(rounded.numbers.min().item<int>() >= -8);
    CHECK(rounded.numbers.max().item<int>() <= 7);
    CHECK(rounded.steps.min().item<int>() >= 1);
    CHECK(rounded.steps.max().item<int>() == 15);
    const Tensor meant = rounded.numbers.to(at::kDouble) *
                         rounded.steps.to(at::kDouble).repeat_interleave(32, 1) *
                         rounded.scales.to(at::kDouble).unsqueeze(1);
    // Steps of a fifteenth of a group's range at most are off by 1 / (15 √12) of it and the range
    // of 32 numbers is some 4.2 spreads: 8 % of the spread, and some for the rounded steps.
    CHECK(((meant - weight).square().mean() / weight.square().mean()).sqrt().item<double>() < 0.1);
    const Tensor scale = std::get<0>(x.abs().max(1, true)).to(at::kDouble) / 127;
    const Tensor expected = (at::round(x.to(at::kDouble) / scale) * scale).matmul(meant.t()) + bias;
    CHECK(relative_error(QuantisedLinear(weight, 4).forward(x, bias), expected) < 1e-3);
  }
  const QuantisedLinear zeros(at::zeros({64, 64}), 4);
  CHECK(zeros.forward(at::randn({3, 64}), {}).abs().max().item<float>() == 0);
}
