#include "diffusion/noise_source.h"

#include "core/error.h"

namespace longhand {

NoiseSource::NoiseSource(const std::vector<std::int64_t>& seeds, at::Device device)
    : device_(device) {
  for (const std::int64_t seed : seeds) {
    generators_.push_back(at::detail::createCPUGenerator(static_cast<std::uint64_t>(seed)));
  }
}

at::Tensor NoiseSource::draw(at::IntArrayRef shape) {
  if (shape.empty() || shape[0] != static_cast<std::int64_t>(generators_.size())) {
    fail(Kind::internal, "noise of {} rows from {} generators; expected one generator a row",
         shape.empty() ? 0 : shape[0], generators_.size());
  }
  std::vector<std::int64_t> one(shape.begin(), shape.end());
  one[0] = 1;
  std::vector<at::Tensor> rows;
  for (const at::Generator& generator : generators_) {
    rows.push_back(at::randn(one, generator, at::kFloat));
  }
  return at::cat(rows).to(device_);
}

}  // namespace longhand
