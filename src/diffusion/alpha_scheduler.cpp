#include "diffusion/alpha_scheduler.h"

#include <cmath>

#include "core/error.h"
#include "diffusion/noise_schedule.h"

namespace longhand {

AlphaScheduler::AlphaScheduler(const SchedulerConfig& config, int steps,
                               const std::vector<double>& timesteps)
    : Scheduler(config, steps), alphas_cumprod_(alphas_cumprod(config)) {
  for (const double timestep : timesteps) {
    timesteps_.push_back(std::nearbyint(timestep));
    if (timesteps_.back() >= config.num_train_timesteps) {
      fail(Kind::invalid_argument,
           "{} steps with steps_offset {} pass the last of {} training timesteps; take fewer steps",
           steps, config.steps_offset, config.num_train_timesteps);
    }
    const float alpha = alpha_at(timestep_at(timesteps_.size() - 1));
    if (alpha == 0 && config.prediction_type == "epsilon") {
      fail(
          Kind::invalid_argument,
          "{} with rescale_betas_zero_snr and prediction_type epsilon cannot start at timestep {}, "
          "which holds no signal; take timestep_spacing leading, or another scheduler",
          config.class_name, timesteps_.back());
    }
    levels_.push_back(Level::of_alpha(alpha));
  }
}

float AlphaScheduler::alpha_at(std::int64_t timestep) const {
  if (timestep < 0) {
    return config_.set_alpha_to_one ? 1.0F : alphas_cumprod_.const_data_ptr<float>()[0];
  }
  return alphas_cumprod_.const_data_ptr<float>()[timestep];
}

}  // namespace longhand
