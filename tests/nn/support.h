// What the tests of kernels share.
#pragma once

#include <doctest/doctest.h>

#include "nn/torch.h"

namespace longhand {

using at::Tensor;

/// The largest difference, as a part of the largest expected value.
inline double relative_error(const Tensor& answer, const Tensor& expected) {
  REQUIRE(answer.sizes() == expected.sizes());
  const Tensor exact = expected.to(at::kDouble);
  return ((answer.to(at::kDouble) - exact).abs().max() / exact.abs().max()).item<double>();
}

}  // namespace longhand
