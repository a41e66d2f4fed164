#include "diffusion/multistep_scheduler.h"

#include <cmath>

#include "diffusion/timesteps.h"

namespace longhand {

MultistepScheduler::MultistepScheduler(const SchedulerConfig& config, int steps,
                                       bool rounds_timesteps)
    : Scheduler(config, steps) {
  std::vector<double> timesteps = spaced_timesteps(config, steps, true);
  for (double& timestep : timesteps) {
    timestep = std::nearbyint(timestep);
  }
  auto [fractional, sigmas] = sigma_schedule(config, std::move(timesteps), true);
  for (const double timestep : fractional) {
    timesteps_.push_back(rounds_timesteps ? std::nearbyint(timestep) : std::trunc(timestep));
  }
  for (const float sigma : sigmas) {
    levels_.push_back(Level::of_sigma(sigma));
  }
}

void MultistepScheduler::remember(const at::Tensor& clean) {
  history_.push_front(clean);
  if (remembered() > config_.solver_order) {
    history_.pop_back();
  }
}

}  // namespace longhand
