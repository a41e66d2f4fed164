// Doubling and convolving at once, beside the two operators that it replaces, in float64.
#include "nn/doubling.h"

#include <doctest/doctest.h>

using namespace longhand;

TEST_CASE("doubling and a 3×3 convolution in one") {
  at::manual_seed(1);
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    if (!packing_helps(dtype)) {
      continue;
    }
    for (const auto& [batch, channels, height, width] :
         {std::array<std::int64_t, 4>{1, 3, 1, 1}, {2, 16, 5, 3}, {3, 32, 8, 8}, {1, 64, 7, 16}}) {
      const at::Tensor weight = (at::randn({channels, channels, 3, 3}) / 16).to(dtype);
      const at::Tensor bias = at::randn({channels}).to(dtype);
      const at::Tensor x = at::randn({batch, channels, height, width})
                               .to(dtype)
                               .contiguous(at::MemoryFormat::ChannelsLast);
      const at::Tensor exact =
          at::conv2d(at::upsample_nearest2d(x.to(at::kDouble), {2 * height, 2 * width}),
                     weight.to(at::kDouble), bias.to(at::kDouble), 1, 1);
      const DoublingConvolution layer([&] { return weight; }, bias);
      const at::Tensor y = layer.forward(x);
      CHECK(y.is_contiguous(at::MemoryFormat::ChannelsLast));
      CHECK(y.dtype() == x.dtype());
      // bfloat16 rounds the sums of weights and the answer, of about unit size, to 8 bits.
      const double tolerance = dtype == at::kFloat ? 1e-5 : 0x1p-6;
      CHECK(at::allclose(y.to(at::kDouble), exact, tolerance, tolerance));
    }
  }
}
