#include "nn/fused.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "nn/lanes.h"
#include "nn/map_parts.h"
#include "nn/parallel.h"

namespace longhand {
namespace {

using at::BFloat16;
using at::Tensor;
using std::int64_t;

/// rows × [2·channels] → rows × [channels].
template <class T>
[[gnu::always_inline]] inline void gate_rows(const T* x, int64_t rows, int64_t channels, T* y) {
  for (int64_t row = 0; row < rows; ++row, x += 2 * channels, y += channels) {
    for (int64_t i = 0; i < channels; i += lane_count) {
      Lanes a, b, share;
      load(x + i, a);
      load(x + channels + i, b);
      share = b;
      normal_cdf(share);
      a = a * (b * share);
      store(a, y + i);
    }
  }
}

/// Adds the sums of x [pixels, channels] and of its squares to sums [2, channels].
template <class T>
[[gnu::always_inline]] inline void add_moments(const T* x, int64_t pixels, int64_t channels,
                                               float* sums) {
  for (int64_t pixel = 0; pixel < pixels; ++pixel, x += channels) {
    for (int64_t i = 0; i < channels; i += lane_count) {
      Lanes value, first, second;
      load(x + i, value);
      load(sums + i, first);
      load(sums + channels + i, second);
      first += value;
      second += value * value;
      store(first, sums + i);
      store(second, sums + channels + i);
    }
  }
}

/// silu(x · scale + shift) of x [pixels, channels], or the same without the silu.
template <bool silu, class T>
[[gnu::always_inline]] inline void map_pixels(const T* x, int64_t pixels, int64_t channels,
                                              const float* scale, const float* shift, T* y) {
  for (int64_t pixel = 0; pixel < pixels; ++pixel, x += channels, y += channels) {
    for (int64_t i = 0; i < channels; i += lane_count) {
      Lanes value, factor, power;
      load(x + i, value);
      load(scale + i, factor);
      load(shift + i, power);
      value = value * factor + power;
      if constexpr (silu) {
        power = value * -std::numbers::log2e_v<float>;
        exp2(power);
        value = value / (1.0F + power);
      }
      store(value, y + i);
    }
  }
}

// The compiler makes versions of plain functions only, hence one for each type.
LONGHAND_CLONES void gate(const float* x, int64_t rows, int64_t channels, float* y) {
  gate_rows(x, rows, channels, y);
}
LONGHAND_CLONES void gate(const BFloat16* x, int64_t rows, int64_t channels, BFloat16* y) {
  gate_rows(x, rows, channels, y);
}
LONGHAND_CLONES void moments(const float* x, int64_t pixels, int64_t channels, float* sums) {
  add_moments(x, pixels, channels, sums);
}
LONGHAND_CLONES void moments(const BFloat16* x, int64_t pixels, int64_t channels, float* sums) {
  add_moments(x, pixels, channels, sums);
}
LONGHAND_CLONES void map_part(const float* x, int64_t pixels, int64_t channels, const float* scale,
                              const float* shift, bool silu, float* y) {
  silu ? map_pixels<true>(x, pixels, channels, scale, shift, y)
       : map_pixels<false>(x, pixels, channels, scale, shift, y);
}
LONGHAND_CLONES void map_part(const BFloat16* x, int64_t pixels, int64_t channels,
                              const float* scale, const float* shift, bool silu, BFloat16* y) {
  silu ? map_pixels<true>(x, pixels, channels, scale, shift, y)
       : map_pixels<false>(x, pixels, channels, scale, shift, y);
}

template <class T>
Tensor moments_of(const Tensor& x) {
  const int64_t channels = x.size(1);
  const Tensor sums = at::zeros({x.size(0), parts_of(x), 2, channels}, at::kFloat);
  auto* to = sums.mutable_data_ptr<float>();
  const T* from = x.const_data_ptr<T>();
  each_part(x, [&](int64_t part, int64_t offset, int64_t count) {
    moments(from + offset, count, channels, to + part * 2 * channels);
  });
  return sums.sum(at::IntArrayRef{1}, false, at::kDouble);
}

template <class T>
void map_all(const Tensor& x, const Tensor& affine, bool silu, Tensor& y) {
  const int64_t channels = x.size(1);
  const int64_t parts = parts_of(x);
  const auto* affines = affine.const_data_ptr<float>();
  const T* from = x.const_data_ptr<T>();
  T* to = y.mutable_data_ptr<T>();
  each_part(x, [&](int64_t part, int64_t offset, int64_t count) {
    const float* scale = affines + part / parts * 2 * channels;
    map_part(from + offset, count, channels, scale, scale + channels, silu, to + offset);
  });
}

Tensor mapped(const Tensor& x, const Tensor& affine, bool silu) {
  Tensor y = at::empty_like(x);
  if (x.scalar_type() == at::kFloat) {
    map_all<float>(x, affine, silu, y);
  } else {
    map_all<BFloat16>(x, affine, silu, y);
  }
  return y;
}

}  // namespace

bool fuses(const Tensor& x, int64_t channels) {
  return x.is_cpu() && channels % lane_count == 0 &&
         (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

Tensor gated_gelu(const Tensor& x) {
  std::vector<int64_t> sizes = x.sizes().vec();
  const int64_t channels = sizes.back() /= 2;
  Tensor y = at::empty(sizes, x.options());
  const auto gate_all = [&]<class T>(const T* from, T* to) {
    parallel_for(y.numel() / channels, [&](int64_t begin, int64_t end) {
      gate(from + begin * 2 * channels, end - begin, channels, to + begin * channels);
    });
  };
  if (x.scalar_type() == at::kFloat) {
    gate_all(x.const_data_ptr<float>(), y.mutable_data_ptr<float>());
  } else {
    gate_all(x.const_data_ptr<BFloat16>(), y.mutable_data_ptr<BFloat16>());
  }
  return y;
}

Tensor group_norm_silu(const Tensor& x, int groups, const Tensor& weight, const Tensor& bias,
                       double epsilon, const Tensor& scale, const Tensor& shift) {
  const Tensor affine =
      group_norm_affine(channel_moments(x), x.size(2) * x.size(3), groups, weight, bias, epsilon);
  modulate(affine, scale, shift);
  return affine_silu(x, affine);
}

void modulate(const Tensor& affine, const Tensor& scale, const Tensor& shift) {
  if (scale.defined()) {
    affine.mul_((1 + scale.to(at::kFloat)).unsqueeze(1));
    affine.select(1, 1).add_(shift.to(at::kFloat));
  }
}

Tensor channel_moments(const Tensor& x) {
  return x.scalar_type() == at::kFloat ? moments_of<float>(x) : moments_of<BFloat16>(x);
}

Tensor group_norm_affine(const Tensor& moments, int64_t pixels, int groups, const Tensor& weight,
                         const Tensor& bias, double epsilon) {
  const int64_t batch = moments.size(0), channels = moments.size(2), group = channels / groups;
  const Tensor w = weight.to(at::kFloat), b = bias.to(at::kFloat);
  const auto *factors = w.const_data_ptr<float>(), *terms = b.const_data_ptr<float>();
  Tensor affine = at::empty({batch, 2, channels}, at::kFloat);
  const auto* first = moments.const_data_ptr<double>();
  auto* scale = affine.mutable_data_ptr<float>();
  for (int64_t picture = 0; picture < batch; ++picture, first += 2 * channels) {
    for (int64_t begin = 0; begin < channels; begin += group) {
      const auto sum = [&](const double* of) { return std::accumulate(of, of + group, 0.0); };
      const double count = static_cast<double>(pixels * group), mean = sum(first + begin) / count;
      const double square = sum(first + channels + begin) / count;
      const double inverse = 1 / std::sqrt(std::max(0.0, square - mean * mean) + epsilon);
      for (int64_t i = begin; i < begin + group; ++i) {
        scale[i] = static_cast<float>(factors[i] * inverse);
        scale[channels + i] = static_cast<float>(terms[i] - mean * factors[i] * inverse);
      }
    }
    scale += 2 * channels;
  }
  return affine;
}

Tensor affine_silu(const Tensor& x, const Tensor& affine) { return mapped(x, affine, true); }

Tensor affine_map(const Tensor& x, const Tensor& affine) { return mapped(x, affine, false); }

}  // namespace longhand
