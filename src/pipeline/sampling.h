// Denoising: noise and text states → latents, with classifier-free guidance (Ho & Salimans 2022).
#pragma once

#include <functional>
#include <string>

#include "diffusion/scheduler.h"
#include "models/unet_2d_condition.h"

namespace longhand {

struct SamplingOptions {
  std::string scheduler = "ddim";
  int steps = 25;
  double guidance = 5;
  std::function<void(int step)> on_step;  // called after each step; may throw to stop
};

/// noise [n, channels, h, w], float32, standard normal, and where ancestral and stochastic steps
/// draw theirs; conditional and unconditional states [n, length, dim]. Both branches run in one
/// batch of 2n; at guidance ≤ 1 only the conditional one runs. Returns latents [n, channels, h, w],
/// float32, still scaled by the autoencoder's scaling_factor.
at::Tensor sample_latents(const UNet2DConditionModel& unet, const SchedulerConfig& schedule,
                          const SamplingOptions& options, const at::Tensor& noise,
                          NoiseSource& noise_of_steps, const at::Tensor& conditional,
                          const at::Tensor& unconditional);

}  // namespace longhand
