// The kernels of src/nn beside libtorch's operators, in turn, medians: the table of
// bench/README.md. Usage: kernels [ROUNDS [layers | attention | norms | doubling | training]]
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <functional>

#include "nn/doubling.h"
#include "nn/flash_attention.h"
#include "nn/fused.h"
#include "nn/int8_linear.h"
#include "nn/operators.h"
#include "nn/trained_convolution.h"

namespace longhand {
namespace {

using at::Tensor;
using std::int64_t;
using Work = std::function<Tensor()>;

double milliseconds(const Work& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - begin;
  return time.count();
}

double median(std::vector<double> times) {
  std::ranges::sort(times);
  return times[times.size() / 2];
}

/// One line of the table; `operations` is 0 where memory, not arithmetic, is what takes time.
void compare(const std::string& name, int rounds, double operations, const Work& libtorch,
             const Work& ours) {
  libtorch(), ours();
  std::vector<double> before, after;
  for (int i = 0; i < rounds; ++i) {
    before.push_back(milliseconds(libtorch));
    after.push_back(milliseconds(ours));
  }
  const double a = median(before), b = median(after);
  const auto rate = [&](double time) {
    return operations == 0 ? "" : fmt::format("{:.0f}", operations / time / 1e6);
  };
  fmt::print("| {} | {:.3f} | {:.3f} | {:.2f} | {} | {} |\n", name, a, b, a / b, rate(a), rate(b));
  std::fflush(stdout);
}

void compare_attention(const std::array<int64_t, 5>& shape, at::ScalarType dtype, int rounds) {
  const auto [batch, heads, tokens, length, width] = shape;
  const auto random = [&, b = batch, c = heads * width](int64_t rows) {
    return at::randn({b, rows, c}).to(dtype);
  };
  const Tensor query = random(tokens), key = random(length), value = random(length);
  const auto split = [&, h = heads, w = width](const Tensor& x) {
    return x.view({x.size(0), x.size(1), h, w}).transpose(1, 2);
  };
  compare(
      fmt::format("attention {}, {} × {}, {} × {}, width {}", c10::toString(dtype), batch, heads,
                  tokens, length, width),
      rounds, 4.0 * static_cast<double>(batch * heads * tokens * length * width),
      [&] {
        return at::scaled_dot_product_attention(split(query), split(key), split(value))
            .transpose(1, 2)
            .reshape(query.sizes());
      },
      [&, h = heads] { return flash_attention(query, key, value, static_cast<int>(h)); });
}

void compare_gated_gelu(at::ScalarType dtype, int rounds) {
  const Tensor x = at::randn({2, 4096, 2560}).to(dtype);
  compare(
      fmt::format("GEGLU {}, [2, 4096, 2560]", c10::toString(dtype)), rounds, 0,
      [&] {
        const auto halves = x.chunk(2, -1);
        return halves[0] * at::gelu(halves[1]);
      },
      [&] { return gated_gelu(x); });
}

void compare_group_norm(std::array<int64_t, 4> shape, at::ScalarType dtype, int rounds) {
  const Tensor x = at::randn(shape).to(dtype).contiguous(at::MemoryFormat::ChannelsLast);
  const Tensor weight = at::randn({shape[1]}).to(dtype), bias = at::randn({shape[1]}).to(dtype);
  compare(
      fmt::format("GroupNorm and SiLU {}, [{}]", c10::toString(dtype), fmt::join(shape, ", ")),
      rounds, 0, [&] { return at::silu(at::group_norm(x, 32, weight, bias, 1e-5)); },
      [&] { return group_norm_silu(x, 32, weight, bias, 1e-5); });
}

/// Both with packed weights, so that what differs is the work.
void compare_doubling(std::array<int64_t, 2> shape, at::ScalarType dtype, int rounds) {
  const auto [channels, side] = shape;
  const Tensor weight = (at::randn({channels, channels, 3, 3}) / 50).to(dtype);
  const Tensor bias = at::randn({channels}).to(dtype);
  const Tensor x =
      at::randn({1, channels, side, side}).to(dtype).contiguous(at::MemoryFormat::ChannelsLast);
  const ConvolutionPack pack([&] { return weight; }, 1, 1);
  const DoublingConvolution doubling([&] { return weight; }, bias);
  compare(
      fmt::format("doubling and 3×3 convolution {}, [1, {}, {}, {}]", c10::toString(dtype),
                  channels, side, side),
      rounds, 2.0 * 9 * 4 * static_cast<double>(channels * channels * side * side),
      [&] { return pack.forward(at::upsample_nearest2d(x, {2 * side, 2 * side}), bias); },
      [&] { return doubling.forward(x); });
}

/// Layers in 8 bits, so many in turn that no cache holds their weights, with libtorch's the
/// product alone: its inputs are quantised already, its result stays in float32.
void compare_int8(int64_t rows, int64_t in, int64_t out, int rounds) {
  constexpr int64_t bytes = int64_t{1} << 29;
  const Tensor weight = at::randn({out, in}).to(at::kBFloat16),
               x = at::randn({rows, in}).to(at::kBFloat16);
  const Tensor whole = at::randint(-127, 128, {out, in}).to(at::kChar), scales = at::ones({out});
  const Tensor numbers = at::randint(0, 255, {rows, in}).to(at::kByte),
               zeros = at::zeros({out}, at::kLong);
  const auto prepack =
      operator_named<Tensor(Tensor, std::optional<c10::List<int64_t>>)>("onednn::qlinear_prepack");
  const auto multiply =
      operator_named<Tensor(Tensor, double, int64_t, Tensor, Tensor, Tensor, std::optional<Tensor>,
                            double, int64_t, std::optional<at::ScalarType>, std::string_view,
                            c10::List<std::optional<at::Scalar>>, std::string_view)>(
          "onednn::qlinear_pointwise");
  std::vector<Tensor> packed;
  std::vector<Int8Linear> layers;
  for (int64_t i = 0; i < bytes / (in * out); ++i) {
    packed.push_back(prepack.call(whole.clone(), std::nullopt));
    layers.emplace_back(weight);
  }
  compare(
      fmt::format("layer in 8 bits, [{}, {}] to {}, {} in turn", rows, in, out, layers.size()),
      rounds, 2.0 * static_cast<double>(rows * in * out) * static_cast<double>(layers.size()),
      [&] {
        Tensor y;
        for (const Tensor& each : packed) {
          y = multiply.call(numbers, 1, 128, each, scales, zeros, std::nullopt, 1, 0, at::kFloat,
                            "none", c10::List<std::optional<at::Scalar>>(), "");
        }
        return y;
      },
      [&] {
        Tensor y;
        for (const Int8Linear& each : layers) {
          y = each.forward(x, {});
        }
        return y;
      });
}

/// What a step of training takes of a 3×3 convolution: the output, and the gradients of all.
void compare_training(const std::array<int64_t, 4>& shape, int64_t out, int rounds) {
  const auto map = [&](int64_t channels) {
    return at::randn({shape[0], channels, shape[2], shape[3]})
        .to(at::kBFloat16)
        .contiguous(at::MemoryFormat::ChannelsLast);
  };
  const auto leaf = [](const Tensor& t) { return t.to(at::kBFloat16).requires_grad_(true); };
  const Tensor x = map(shape[1]).requires_grad_(true), change = map(out);
  const Tensor weight = leaf(at::randn({out, shape[1], 3, 3})), bias = leaf(at::randn({out}));
  const auto step = [&](const auto& convolve) {
    return [&] {
      convolve().backward(change);
      return weight.grad();
    };
  };
  const double operations = 3 * 2.0 * 9 * static_cast<double>(x.numel() * out);
  compare(fmt::format("convolution and its gradients BFloat16, [{}] to {}", fmt::join(shape, ", "),
                      out),
          rounds, operations, step([&] { return at::conv2d(x, weight, bias, 1, 1); }),
          step([&] { return trained_convolution(x, weight, bias); }));
}

void compare_all(int rounds, std::string_view only) {
  const auto wanted = [&](std::string_view what) { return only.empty() || only == what; };
  fmt::print("{} threads, {} rounds\n\n", at::get_num_threads(), rounds);
  fmt::print("| | libtorch, ms | ours, ms | times as fast | libtorch, GFLOP/s | ours, GFLOP/s |\n");
  fmt::print("|---|---|---|---|---|---|\n");
  if (wanted("training")) {
    compare_training({64, 192, 4, 4}, 192, rounds);
    compare_training({64, 384, 4, 4}, 192, rounds);
    compare_training({64, 128, 8, 8}, 128, rounds);
    compare_training({64, 320, 8, 8}, 128, rounds);
    compare_training({64, 64, 16, 16}, 64, rounds);
  }
  const c10::InferenceMode inference;
  if (wanted("layers")) {
    compare_int8(64, 4096, 14336, rounds);
    compare_int8(64, 14336, 4096, rounds);
    compare_int8(64, 576, 1536, rounds);
  }
  for (const at::ScalarType dtype : {at::kBFloat16, at::kFloat}) {
    if (wanted("attention")) {
      for (const std::array<int64_t, 5>& shape : {std::array<int64_t, 5>{2, 8, 4096, 4096, 40},
                                                  {2, 10, 4096, 4096, 64},
                                                  {2, 20, 1024, 1024, 64},
                                                  {2, 8, 1024, 1024, 80},
                                                  {2, 8, 4096, 77, 40},
                                                  {2, 8, 256, 256, 160},
                                                  {2, 8, 64, 64, 160},
                                                  {2, 8, 64, 77, 160},
                                                  {2, 12, 77, 77, 64},
                                                  {1, 1, 4096, 4096, 512}}) {
        compare_attention(shape, dtype, rounds);
      }
    }
    if (wanted("norms")) {
      compare_gated_gelu(dtype, rounds);
      compare_group_norm({2, 320, 64, 64}, dtype, rounds);
      compare_group_norm({2, 1280, 16, 16}, dtype, rounds);
      compare_group_norm({2, 1280, 8, 8}, dtype, rounds);
      compare_group_norm({1, 128, 512, 512}, dtype, rounds);
    }
    if (wanted("doubling")) {
      compare_doubling({1280, 16}, dtype, rounds);
      compare_doubling({640, 32}, dtype, rounds);
      compare_doubling({512, 128}, dtype, rounds);
    }
  }
}

}  // namespace
}  // namespace longhand

int main(int argc, char** argv) {
  longhand::compare_all(argc > 1 ? std::max(1, std::atoi(argv[1])) : 15, argc > 2 ? argv[2] : "");
  return 0;
}
