// Kernels of language models beside the same by tensors in float64.
#include "nn/language.h"

#include "support.h"

using namespace longhand;

TEST_CASE("root mean square norms") {
  at::manual_seed(1);
  const Tensor x = at::randn({7, 96}) * 3, weight = at::randn({96});
  const Tensor wide = x.to(at::kDouble);
  const Tensor expected =
      wide / (wide.square().mean(-1, true) + 1e-5).sqrt() * weight.to(at::kDouble);
  CHECK(relative_error(rms_norm(x, weight, 1e-5, at::kFloat), expected) < 1e-6);
  CHECK(relative_error(rms_norm(x, weight, 1e-5, at::kBFloat16), expected) < 0.004);

  Tensor heads = x.clone();
  rms_norm_heads(heads.narrow(1, 0, 64), weight.narrow(0, 0, 32), 1e-5);
  const Tensor parts = wide.narrow(1, 0, 64).reshape({7, 2, 32});
  const Tensor of_heads = parts / (parts.square().mean(-1, true) + 1e-5).sqrt() *
                          weight.narrow(0, 0, 32).to(at::kDouble);
  CHECK(relative_error(heads.narrow(1, 0, 64), of_heads.view({7, 64})) < 1e-6);
  CHECK(at::equal(heads.narrow(1, 64, 32), x.narrow(1, 64, 32)));
}

TEST_CASE("rotary embeddings turn pairs, neighbours or halves") {
  at::manual_seed(2);
  const Tensor x = at::randn({3, 2 * 16});
  const Tensor angles = at::rand({10, 8}) * 6;
  const Tensor turns = at::cat({angles.cos(), angles.sin()}, 1).contiguous();
  const std::vector<std::int64_t> positions = {9, 0, 4};
  const Tensor own = angles.index_select(0, at::tensor(positions)).unsqueeze(1).to(at::kDouble);
  const Tensor heads = x.view({3, 2, 16}).to(at::kDouble);
  const auto turned = [&](const Tensor& a, const Tensor& b) {
    return std::pair{a * own.cos() - b * own.sin(), a * own.sin() + b * own.cos()};
  };
  Tensor halves = x.clone();
  rotate(halves, 16, turns, positions, true);
  const auto [first, second] = turned(heads.narrow(2, 0, 8), heads.narrow(2, 8, 8));
  CHECK(relative_error(halves, at::cat({first, second}, 2).view({3, 32})) < 1e-6);
  Tensor neighbours = x.clone();
  rotate(neighbours, 16, turns, positions, false);
  const Tensor pairs = heads.view({3, 2, 8, 2});
  const auto [even, odd] = turned(pairs.select(3, 0), pairs.select(3, 1));
  CHECK(relative_error(neighbours, at::stack({even, odd}, 3).view({3, 32})) < 1e-6);
}

TEST_CASE("gated linear units") {
  at::manual_seed(3);
  const Tensor x = at::randn({5, 2 * 48}) * 4, wide = x.to(at::kDouble);
  const Tensor expected = at::silu(wide.narrow(1, 0, 48)) * wide.narrow(1, 48, 48);
  CHECK(relative_error(swiglu(x), expected) < 1e-6);
  CHECK(relative_error(swiglu(x.to(at::kBFloat16)), expected) < 0.008);
}
