#include "diffusion/sigma_scheduler.h"

#include <algorithm>
#include <cmath>

#include "diffusion/timesteps.h"

namespace longhand {

SigmaScheduler::SigmaScheduler(const SchedulerConfig& config, int steps)
    : Scheduler(config, steps) {
  std::vector<double> timesteps = spaced_timesteps(config, steps);
  const auto round_to_float = [](double& timestep) { timestep = static_cast<float>(timestep); };
  std::ranges::for_each(timesteps, round_to_float);
  auto [fractional, sigmas] = sigma_schedule(config, std::move(timesteps), false);
  std::ranges::for_each(fractional, round_to_float);
  timesteps_ = std::move(fractional);
  for (const float sigma : sigmas) {
    levels_.push_back({1, sigma});
  }
}

double SigmaScheduler::init_noise_sigma() const {
  const float largest =
      std::ranges::max(levels_, {}, [](Level level) { return level.noise; }).noise;
  return config_.timestep_spacing == "leading" ? std::sqrt(largest * largest + 1) : largest;
}

at::Tensor SigmaScheduler::scale_model_input(const at::Tensor& sample, std::size_t i) const {
  const float sigma = levels_[i].noise;
  return sample / std::sqrt(sigma * sigma + 1);
}

}  // namespace longhand
