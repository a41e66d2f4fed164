// The convolution that is learned beside libtorch's, in values and gradients.
#include "nn/trained_convolution.h"

#include <array>
#include <vector>

#include "support.h"

using namespace longhand;

namespace {

struct Gradients {
  Tensor y, x, weight, bias;
};

template <class Convolve>
Gradients gradients(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& change,
                    const Convolve& convolve) {
  const auto leaf = [](const Tensor& t) { return t.detach().requires_grad_(true); };
  const Tensor a = leaf(x), b = leaf(weight), c = bias.defined() ? leaf(bias) : bias;
  const Tensor y = convolve(a, b, c);
  y.backward(change);
  return {y.detach(), a.grad(), b.grad(), c.defined() ? c.grad() : c};
}

}  // namespace

TEST_CASE("trained_convolution: values and gradients") {
  at::manual_seed(8);
  for (const auto& [batch, in, out, height, width] :
       std::vector<std::array<std::int64_t, 5>>{{3, 16, 32, 4, 4},
                                                {64, 192, 128, 4, 4},
                                                {5, 80, 48, 8, 8},
                                                {2, 64, 64, 3, 7},
                                                {1, 128, 64, 1, 1}}) {
    CAPTURE(in);
    const auto map = [&](std::int64_t channels) {
      return at::randn({batch, channels, height, width})
          .to(at::kBFloat16)
          .contiguous(at::MemoryFormat::ChannelsLast);
    };
    const Tensor x = map(in), change = map(out);
    const Tensor weight = at::randn({out, in, 3, 3}).to(at::kBFloat16),
                 bias = at::randn({out}).to(at::kBFloat16);
    const auto exact = [](const Tensor& a, const Tensor& b, const Tensor& c) {
      return at::conv2d(a, b, c, 1, 1);
    };
    Tensor learned = weight.detach().requires_grad_(true);
    if (!trained_convolution_helps(x, learned, 1, 1)) {
      return;  // a processor that does not multiply bfloat16
    }
    for (const Tensor& b : {bias, Tensor()}) {
      const Gradients own = gradients(x, weight, b, change, trained_convolution);
      const auto wide = [](const Tensor& t) { return t.defined() ? t.to(at::kDouble) : t; };
      const Gradients expected = gradients(wide(x), wide(weight), wide(b), wide(change), exact);
      // Sums in float32, rounded to bfloat16 once: half a step of 2^-8 of a number.
      CHECK(relative_error(own.y, expected.y) < 4e-3);
      CHECK(relative_error(own.x, expected.x) < 4e-3);
      CHECK(relative_error(own.weight, expected.weight) < 4e-3);
      if (b.defined()) {
        CHECK(relative_error(own.bias, expected.bias) < 4e-3);
      }
    }
  }
  const Tensor learned = at::randn({16, 16, 3, 3}).to(at::kBFloat16).requires_grad_(true);
  const Tensor large =
      at::randn({1, 16, 16, 16}).to(at::kBFloat16).contiguous(at::MemoryFormat::ChannelsLast);
  CHECK_FALSE(trained_convolution_helps(large, learned, 1, 1));
  CHECK_FALSE(trained_convolution_helps(
      large.narrow(2, 0, 4).narrow(3, 0, 4).contiguous(at::MemoryFormat::ChannelsLast),
      learned.detach(), 1, 1));
}
