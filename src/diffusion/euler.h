// Euler's method on the probability-flow ODE in sigma space (Karras et al. 2022, algorithm 2
// without churn; diffusers EulerDiscreteScheduler).
#pragma once

#include "diffusion/scheduler.h"

namespace longhand {

class Euler : public Scheduler {
 public:
  Euler(const SchedulerConfig& config, int steps);
  double init_noise_sigma() const override;
  at::Tensor scale_model_input(const at::Tensor& sample, std::size_t i) const override;
  at::Tensor step(const at::Tensor& model_output, std::size_t i, const at::Tensor& sample) override;
  at::Tensor add_noise(const at::Tensor& clean, const at::Tensor& noise,
                       std::size_t i) const override;

 private:
  SchedulerConfig config_;
  std::vector<double> sigmas_;  // one more than timesteps, the last is 0
};

}  // namespace longhand
