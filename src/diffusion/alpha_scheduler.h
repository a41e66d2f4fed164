// What schedulers have in common whose samples keep variance 1 and whose steps go between training
// timesteps.
#pragma once

#include "diffusion/scheduler.h"

namespace longhand {

class AlphaScheduler : public Scheduler {
 protected:
  /// Timesteps are rounded. Throws invalid_argument for one past the last of training, and where
  /// the prediction of a sample without any signal would be divided by that signal.
  AlphaScheduler(const SchedulerConfig& config, int steps, const std::vector<double>& timesteps);

  /// ᾱ of a timestep; before the first one 1, or ᾱ_0 unless set_alpha_to_one.
  float alpha_at(std::int64_t timestep) const;
  std::int64_t timestep_at(std::size_t i) const { return static_cast<std::int64_t>(timesteps_[i]); }
  /// Training timesteps a step.
  std::int64_t stride() const { return config_.num_train_timesteps / steps_; }

 private:
  at::Tensor alphas_cumprod_;
};

}  // namespace longhand
