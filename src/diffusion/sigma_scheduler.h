// What schedulers have in common whose samples are clean + σ ε (Karras et al. 2022).
#pragma once

#include "diffusion/scheduler.h"

namespace longhand {

class SigmaScheduler : public Scheduler {
 public:
  double init_noise_sigma() const override;
  /// The model sees samples of variance 1.
  at::Tensor scale_model_input(const at::Tensor& sample, std::size_t i) const override;

 protected:
  /// Timesteps are float32, and fractional where sigmas are spaced or timesteps fall so.
  SigmaScheduler(const SchedulerConfig& config, int steps);
};

}  // namespace longhand
