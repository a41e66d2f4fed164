// Layers in 8 bits beside what they stand for.
#include "nn/int8_linear.h"

#include <array>
#include <vector>

#include "support.h"

using namespace longhand;

TEST_CASE("products in 8 bits are those of the rounded numbers, and near the exact ones") {
  if (!int8_runs()) {
    return;
  }
  at::manual_seed(5);
  for (const auto& [rows, in, out] : std::vector<std::array<std::int64_t, 3>>{
           {1, 64, 64},
           {7, 96, 100},
           {130, 576, 192},
           {300, 1536, 65},
           {100, 2080, 70}}) {  // the last is no multiple of a tile
    CAPTURE(rows);
    CAPTURE(out);
    const Tensor x = at::randn({rows, in}), weight = at::randn({out, in}), bias = at::randn({out});
    const auto rounded = [](const Tensor& t) {
      const Tensor scale = std::get<0>(t.abs().max(1, true)).to(at::kDouble) / 127;
      return at::round(t.to(at::kDouble) / scale) * scale;
    };
    const Int8Linear layer(weight);
    const Tensor expected = rounded(x).matmul(rounded(weight).t()) + bias;
    // A number that lies between two of 8 bits may go either way: one step of 127 in one product.
    CHECK(relative_error(layer.forward(x, bias), expected) < 1e-3);
    const Tensor exact = x.to(at::kDouble).matmul(weight.to(at::kDouble).t());
    CHECK(relative_error(layer.forward(x, {}), exact) < 0.015);
    CHECK(relative_error(layer.forward(x.to(at::kBFloat16), {}), exact) < 0.02);
  }
  const Int8Linear zeros(at::zeros({64, 64}));
  CHECK(zeros.forward(at::randn({3, 64}), {}).abs().max().item<float>() == 0);
  CHECK(zeros.forward(at::zeros({3, 64}), {}).abs().max().item<float>() == 0);
}
