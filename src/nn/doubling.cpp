#include "nn/doubling.h"

#include <cstring>

#include "nn/parallel.h"

namespace longhand {
namespace {

using at::Tensor;
using std::int64_t;

/// [..., 3] along a dimension → [2, ..., 2]: what the first and the second pixel of a doubled one
/// see of the pixel before and their own, and of their own and the pixel after.
Tensor halves(const Tensor& kernel, int64_t dim) {
  const auto tap = [&](int64_t i) { return kernel.select(dim, i); };
  return at::stack(
      {at::stack({tap(0), tap(1) + tap(2)}, dim), at::stack({tap(0) + tap(1), tap(2)}, dim)});
}

/// [out, in, 3, 3] → [4·out, in, 2, 2], summed in float32.
Tensor kernels_of_sums(const Tensor& weight) {
  const Tensor sums =
      halves(halves(weight.to(at::kFloat), 3), 3);  // [2 rows, 2 columns, out, in, 2, 2]
  return sums.reshape({4 * weight.size(0), weight.size(1), 2, 2}).to(weight.scalar_type());
}

/// Channels-last maps [batch, 4·out, h + 1, w + 1] → [batch, out, 2h, 2w]: each place within a
/// pixel takes its channels, of the kernel's position that it belongs to.
Tensor interleaved(const Tensor& maps) {
  const int64_t batch = maps.size(0), out = maps.size(1) / 4, h = maps.size(2) - 1,
                w = maps.size(3) - 1;
  Tensor doubled = at::empty({batch, out, 2 * h, 2 * w},
                             maps.options().memory_format(at::MemoryFormat::ChannelsLast));
  const std::size_t run = static_cast<std::size_t>(out) * maps.element_size();
  const auto* from = static_cast<const std::byte*>(maps.const_data_ptr());
  auto* to = static_cast<std::byte*>(doubled.mutable_data_ptr());
  parallel_for(batch * 2 * h, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t y = row % (2 * h), below = y % 2;
      const int64_t first = (row / (2 * h) * (h + 1) + y / 2 + below) * (w + 1);
      for (int64_t x = 0; x < 2 * w; ++x) {
        const int64_t right = x % 2, place = 2 * below + right;
        std::memcpy(to + static_cast<std::size_t>(row * 2 * w + x) * run,
                    from + static_cast<std::size_t>((first + x / 2 + right) * 4 + place) * run,
                    run);
      }
    }
  });
  return doubled;
}

}  // namespace

DoublingConvolution::DoublingConvolution(std::function<Tensor()> weight, const Tensor& bias)
    : pack_([weight = std::move(weight)] { return kernels_of_sums(weight()); }, 1, 1),
      bias_(bias.repeat({4})) {}

Tensor DoublingConvolution::forward(const Tensor& x) const {
  return interleaved(pack_.forward(x, bias_).contiguous(at::MemoryFormat::ChannelsLast));
}

}  // namespace longhand
