#include "nn/trained_convolution.h"

#include <torch/csrc/autograd/custom_function.h>

#include <array>
#include <memory>
#include <vector>

#include "nn/attention_blocks.h"
#include "nn/packing.h"
#include "nn/parallel.h"

namespace longhand {
namespace {

using at::BFloat16;
using at::Tensor;
using std::int64_t;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kernel = 3, taps = kernel * kernel;
constexpr int64_t pair = group<BFloat16>;
constexpr int64_t most_pixels = 64;    // a larger map is oneDNN's
constexpr int64_t tile_inner = 32;     // of bfloat16, what a tile multiplies at once
constexpr int64_t inner_block = 1024;  // positions whose numbers stay in the second cache

/// Maps one after the other in memory, each with a row of zeros before it and a pixel of zeros
/// after each row: a tap is the same shift for all pixels, and what it reaches beyond a map is
/// zero.
struct Positions {
  int64_t maps, height, width;
  int64_t pitch() const { return width + 1; }
  int64_t count() const { return round_up(maps * (height + 1) * pitch(), tile_inner); }
  int64_t of(int64_t map, int64_t y) const { return (map * (height + 1) + y + 1) * pitch(); }
  /// Positions before the first and after the last that taps reach.
  int64_t margin() const { return round_up(pitch() + 1, pair); }
  int64_t shift(int64_t tap) const { return (tap / kernel - 1) * pitch() + tap % kernel - 1; }
};

/// The pixel in a map [maps, height, width, channels] at each position, margins too.
std::vector<const BFloat16*> pixels_of(const BFloat16* data, int64_t channels, const Positions& p,
                                       const BFloat16* zeros) {
  std::vector<const BFloat16*> pixels(static_cast<std::size_t>(p.count() + 2 * p.margin() + 1),
                                      zeros);
  for (int64_t map = 0; map < p.maps; ++map) {
    for (int64_t y = 0; y < p.height; ++y) {
      for (int64_t x = 0; x < p.width; ++x, data += channels) {
        pixels[static_cast<std::size_t>(p.margin() + p.of(map, y) + x)] = data;
      }
    }
  }
  return pixels;
}

/// Some channels of a map as the right side of products, [positions / 2, width, 2]: pairs that
/// begin at even positions and pairs that begin at odd ones, so that any shift finds its own.
class PackedPixels {
 public:
  PackedPixels(const std::vector<const BFloat16*>& pixels, int64_t first, int64_t width)
      : width_(width) {
    for (std::size_t odd = 0; odd < packed_.size(); ++odd) {
      packed_[odd] = std::make_unique_for_overwrite<BFloat16[]>(pixels.size() *
                                                                static_cast<std::size_t>(width));
      BFloat16* to = packed_[odd].get();
      for (std::size_t at = odd; at + 1 < pixels.size(); at += pair, to += pair * width) {
        const BFloat16 *left = pixels[at] + first, *right = pixels[at + 1] + first;
        for (int64_t channel = 0; channel < width; ++channel) {
          to[pair * channel] = left[channel];
          to[pair * channel + 1] = right[channel];
        }
      }
    }
  }
  const BFloat16* from(int64_t position) const {
    return packed_[static_cast<std::size_t>(position % pair)].get() +
           position / pair * pair * width_;
  }

 private:
  int64_t width_;
  std::array<std::unique_ptr<BFloat16[]>, pair> packed_;
};

/// The gradient [maps, height, width, channels] → [channels, positions].
Tensor turned(const Tensor& gradient, const Positions& p) {
  const int64_t channels = gradient.size(1);
  // Rows a page apart would share the same few lines of the nearest cache.
  Tensor rows = at::zeros({channels, p.count() + tile_inner}, at::kBFloat16);
  const BFloat16* from = gradient.const_data_ptr<BFloat16>();
  BFloat16* to = rows.mutable_data_ptr<BFloat16>();
  const int64_t stride = rows.stride(0);
  for (int64_t map = 0; map < p.maps; ++map) {
    for (int64_t y = 0; y < p.height; ++y, from += p.width * channels) {
      for (int64_t channel = 0; channel < channels; ++channel) {
        BFloat16* row = to + channel * stride + p.of(map, y);
        for (int64_t x = 0; x < p.width; ++x) {
          row[x] = from[x * channels + channel];
        }
      }
    }
  }
  return rows;
}

/// Sums over all positions of gradient · input, for each tap → as the weight [out, in, 3, 3].
Tensor weight_gradient(const Tensor& x, const Tensor& gradient, const Tensor& weight) {
  const Positions p{x.size(0), x.size(2), x.size(3)};
  const int64_t in = x.size(1), out = gradient.size(1);
  const Tensor rows = turned(gradient, p);
  const std::vector<BFloat16> zeros(static_cast<std::size_t>(in), BFloat16(0));
  const auto pixels = pixels_of(x.const_data_ptr<BFloat16>(), in, p, zeros.data());
  Tensor sums = at::empty({taps, out, in}, at::kFloat);
  const BFloat16* left = rows.const_data_ptr<BFloat16>();
  float* result = sums.mutable_data_ptr<float>();
  parallel_for(round_up(in, panel) / panel, [&](int64_t begin, int64_t end) {
    for (int64_t first = begin * panel; first < std::min(end * panel, in); first += panel) {
      const int64_t width = std::min(panel, in - first);
      const PackedPixels packed(pixels, first, width);
      for (int64_t at = 0; at < p.count(); at += inner_block) {
        for (int64_t tap = 0; tap < taps; ++tap) {
          multiply(out, width, std::min(inner_block, p.count() - at), left + at, rows.stride(0),
                   packed.from(p.margin() + at + p.shift(tap)), at > 0,
                   result + tap * out * in + first, in);
        }
      }
    }
    at::native::cpublas::brgemm_release();
  });
  return sums.permute({1, 2, 0}).reshape(weight.sizes()).to(weight.scalar_type());
}

struct TrainedConvolution : torch::autograd::Function<TrainedConvolution> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& weight,
                        const std::optional<Tensor>& bias) {
    context->save_for_backward({x, weight});
    context->saved_data["bias"] = bias.has_value();
    return at::conv2d(x, weight, bias, 1, 1);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1];
    const Tensor gradient =
        gradients[0].to(x.scalar_type()).contiguous(at::MemoryFormat::ChannelsLast);
    Tensor input, bias;
    if (x.requires_grad()) {
      input =
          std::get<0>(at::convolution_backward(gradient, x, weight, std::nullopt, {1, 1}, {1, 1},
                                               {1, 1}, false, {0, 0}, 1, {true, false, false}));
    }
    if (context->saved_data["bias"].toBool()) {
      bias = gradient.sum({0, 2, 3});
    }
    return {input, weight_gradient(x, gradient, weight), bias};
  }
};

}  // namespace

bool trained_convolution_helps(const Tensor& x, const Tensor& weight, int stride, int padding) {
  return c10::GradMode::is_enabled() && weight.requires_grad() &&
         x.scalar_type() == at::kBFloat16 && weight.scalar_type() == at::kBFloat16 &&
         packing_helps(at::kBFloat16) && x.device().is_cpu() && stride == 1 && padding == 1 &&
         weight.size(2) == kernel && weight.size(3) == kernel && x.size(1) % 16 == 0 &&
         x.size(2) * x.size(3) <= most_pixels && x.is_contiguous(at::MemoryFormat::ChannelsLast);
}

Tensor trained_convolution(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  return TrainedConvolution::apply(x, weight, bias.defined() ? std::optional(bias) : std::nullopt);
}

}  // namespace longhand
