// DDIM, deterministic (Song et al. 2021, equation 12 with σ = 0; diffusers DDIMScheduler with eta
// 0).
#pragma once

#include "diffusion/scheduler.h"

namespace longhand {

class Ddim : public Scheduler {
 public:
  Ddim(const SchedulerConfig& config, int steps);
  double init_noise_sigma() const override { return 1; }
  at::Tensor scale_model_input(const at::Tensor& sample, std::size_t) const override {
    return sample;
  }
  at::Tensor step(const at::Tensor& model_output, std::size_t i, const at::Tensor& sample) override;
  at::Tensor add_noise(const at::Tensor& clean, const at::Tensor& noise,
                       std::size_t i) const override;

 private:
  double alpha_at(std::int64_t timestep) const;

  SchedulerConfig config_;
  at::Tensor alphas_cumprod_;
  int stride_;  // training timesteps a step
};

}  // namespace longhand
