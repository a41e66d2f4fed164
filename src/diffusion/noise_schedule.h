// The forward process: how much signal and noise a timestep holds (Ho et al. 2020).
#pragma once

#include "diffusion/scheduler_config.h"
#include "nn/torch.h"

namespace longhand {

/// β_t for each training timestep, float32, as the reference computes it.
at::Tensor betas(const SchedulerConfig& config);

/// ᾱ_t = ∏ (1 - β_s) for each training timestep, float32.
at::Tensor alphas_cumprod(const SchedulerConfig& config);

/// Noised samples √ᾱ_t x + √(1-ᾱ_t) ε for timesteps [batch].
at::Tensor add_noise(const at::Tensor& alphas_cumprod, const at::Tensor& x, const at::Tensor& noise,
                     const at::Tensor& timesteps);

/// What a model of this prediction type is trained to answer: ε, v = √ᾱ ε - √(1-ᾱ) x (Salimans & Ho
/// 2022), or x.
at::Tensor training_target(const SchedulerConfig& config, const at::Tensor& alphas_cumprod,
                           const at::Tensor& x, const at::Tensor& noise,
                           const at::Tensor& timesteps);

}  // namespace longhand
