// Maps [batch, channels, h, w], channels-last, in parts of some pixels that one thread takes.
#pragma once

#include <algorithm>
#include <cstdint>

#include "nn/parallel.h"
#include "nn/torch.h"

namespace longhand {

constexpr std::int64_t part_pixels = 256;  // summed in float32; sums of parts in float64

/// Of one picture.
inline std::int64_t parts_of(const at::Tensor& x) {
  return (x.size(2) * x.size(3) + part_pixels - 1) / part_pixels;
}

/// Calls body(part, first number, pixels) for each part of each picture; part / parts_of(x) is the
/// picture.
template <class Body>
void each_part(const at::Tensor& x, const Body& body) {
  const std::int64_t pixels = x.size(2) * x.size(3), parts = parts_of(x);
  parallel_for(x.size(0) * parts, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t pixel = i % parts * part_pixels;
      body(i, (i / parts * pixels + pixel) * x.size(1), std::min(part_pixels, pixels - pixel));
    }
  });
}

}  // namespace longhand
