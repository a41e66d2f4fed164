#include "nn/language.h"

#include <ATen/Dispatch.h>

#include <cmath>
#include <functional>
#include <numbers>

#include "nn/lanes.h"
#include "nn/parallel.h"

namespace longhand {
namespace {

using at::BFloat16;
using at::Tensor;
using std::int64_t;

template <class From, class To>
[[gnu::always_inline]] inline void normed_row(const From* x, const float* weight, int64_t width,
                                              float epsilon, To* to) {
  Lanes part, sum{}, scale;
  for (int64_t i = 0; i < width; i += lane_count) {
    load(x + i, part);
    sum += part * part;
  }
  const float mean = reduce(sum, std::plus()) / static_cast<float>(width);
  const float share = 1 / std::sqrt(mean + epsilon);
  for (int64_t i = 0; i < width; i += lane_count) {
    load(x + i, part);
    load(weight + i, scale);
    part = part * share * scale;
    store(part, to + i);
  }
}

template <class T>
[[gnu::always_inline]] inline void gated_row(const T* x, int64_t width, T* to) {
  for (int64_t i = 0; i < width; i += lane_count) {
    Lanes gate, value;
    load(x + i, gate);
    load(x + width + i, value);
    Lanes power = gate * -std::numbers::log2e_v<float>;
    exp2(power);
    gate = gate / (1.0F + power) * value;
    store(gate, to + i);
  }
}

LONGHAND_CLONES void normed(const float* x, const float* weight, int64_t width, float epsilon,
                            float* to) {
  normed_row(x, weight, width, epsilon, to);
}
LONGHAND_CLONES void normed(const float* x, const float* weight, int64_t width, float epsilon,
                            BFloat16* to) {
  normed_row(x, weight, width, epsilon, to);
}
LONGHAND_CLONES void normed(const BFloat16* x, const float* weight, int64_t width, float epsilon,
                            BFloat16* to) {
  normed_row(x, weight, width, epsilon, to);
}
LONGHAND_CLONES void gated(const float* x, int64_t width, float* to) { gated_row(x, width, to); }
LONGHAND_CLONES void gated(const BFloat16* x, int64_t width, BFloat16* to) {
  gated_row(x, width, to);
}

template <class T>
void rotate_head(T* x, int64_t width, const float* turns, bool halves) {
  const int64_t pairs = width / 2, step = halves ? 1 : 2, other = halves ? pairs : 1;
  for (int64_t i = 0; i < pairs; ++i) {
    T &a = x[i * step], &b = x[i * step + other];
    const float real = a, imaginary = b, cosine = turns[i], sine = turns[pairs + i];
    a = static_cast<T>(real * cosine - imaginary * sine);
    b = static_cast<T>(real * sine + imaginary * cosine);
  }
}

constexpr int64_t few_numbers = 1 << 14;  // waking a thread for them takes longer than the work

/// Calls body(row) for each of the rows of so many numbers, on all threads where that pays.
void each_row(int64_t rows, int64_t width, const std::function<void(int64_t)>& body) {
  parallel_for(
      rows,
      [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
          body(row);
        }
      },
      few_numbers / width);
}

}  // namespace

Tensor rms_norm(const Tensor& x, const Tensor& weight, double epsilon, at::ScalarType dtype) {
  Tensor result = at::empty(x.sizes(), dtype);
  const int64_t width = x.size(-1);
  const float* from = x.const_data_ptr<float>();
  const float* scale = weight.const_data_ptr<float>();
  with_type(dtype, [&](auto type) {
    auto* to = result.mutable_data_ptr<decltype(type)>();
    each_row(x.numel() / width, width, [&](int64_t row) {
      normed(from + row * width, scale, width, static_cast<float>(epsilon), to + row * width);
    });
  });
  return result;
}

void rms_norm_heads(Tensor x, const Tensor& weight, double epsilon) {
  const int64_t width = weight.size(0), heads = x.size(1) / width;
  const float* scale = weight.const_data_ptr<float>();
  with_type(x.scalar_type(), [&](auto type) {
    auto* data = x.mutable_data_ptr<decltype(type)>();
    each_row(x.size(0), x.size(1), [&](int64_t row) {
      for (int64_t head = 0; head < heads; ++head) {
        auto* at = data + row * x.stride(0) + head * width;
        normed(at, scale, width, static_cast<float>(epsilon), at);
      }
    });
  });
}

void rotate(Tensor x, int64_t width, const Tensor& turns, std::span<const int64_t> positions,
            bool halves) {
  const float* angles = turns.const_data_ptr<float>();
  const int64_t heads = x.size(1) / width;
  with_type(x.scalar_type(), [&](auto type) {
    auto* data = x.mutable_data_ptr<decltype(type)>();
    each_row(x.size(0), x.size(1), [&](int64_t row) {
      const float* own = angles + positions[static_cast<std::size_t>(row)] * width;
      for (int64_t head = 0; head < heads; ++head) {
        rotate_head(data + row * x.stride(0) + head * width, width, own, halves);
      }
    });
  });
}

Tensor swiglu(const Tensor& x) {
  const int64_t width = x.size(1) / 2;
  Tensor result = at::empty({x.size(0), width}, x.options());
  with_type(x.scalar_type(), [&](auto type) {
    using T = decltype(type);
    const T* from = x.const_data_ptr<T>();
    T* to = result.mutable_data_ptr<T>();
    each_row(x.size(0), x.size(1),
             [&](int64_t row) { gated(from + row * 2 * width, width, to + row * width); });
  });
  return result;
}

}  // namespace longhand
