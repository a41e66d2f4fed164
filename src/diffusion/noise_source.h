// Noise that can be drawn again: each picture of a batch has a generator of its own.
#pragma once

#include <cstdint>
#include <vector>

#include "nn/torch.h"

namespace longhand {

/// Standard normal noise from torch's generators on the processor, as diffusers draws it with
/// generator=[torch.Generator().manual_seed(seed), …]: first a run's initial noise, then that of
/// its steps.
class NoiseSource {
 public:
  /// A generator for each row of the batch. What is drawn is brought to the device.
  explicit NoiseSource(const std::vector<std::int64_t>& seeds, at::Device device = at::kCPU);

  /// Noise [batch, …], float32: row i is the next torch.randn([1, …]) of generator i. Throws
  /// internal where the batch has not one row for each generator.
  at::Tensor draw(at::IntArrayRef shape);
  /// Rows of the batch.
  std::int64_t size() const { return std::ssize(generators_); }
  at::Tensor draw_like(const at::Tensor& sample) { return draw(sample.sizes()); }

 private:
  std::vector<at::Generator> generators_;
  at::Device device_;
};

}  // namespace longhand
