// Which of the training timesteps a run visits, and the noise of each as σ = √((1-ᾱ)/ᾱ).
#pragma once

#include <vector>

#include "diffusion/scheduler_config.h"

namespace longhand {

/// Evenly spaced training timesteps, from noisy to clean, not rounded (Lin et al. 2024, table 2;
/// diffusers' timestep_spacing). With to_zero, linspace and leading are for one step more, and the
/// cleanest timestep is left out, as solvers do that step to it.
std::vector<double> spaced_timesteps(const SchedulerConfig& config, int steps,
                                     bool to_zero = false);

/// Timesteps with their sigmas: one sigma more than timesteps, where the run ends.
struct SigmaSchedule {
  std::vector<double> timesteps;
  std::vector<float> sigmas;
};

/// Sigmas at the given timesteps, interpolated; or, by use_karras_sigmas (Karras et al. 2022,
/// equation 5) or use_exponential_sigmas, as many between the largest and the smallest, with the
/// fractional timesteps that they belong to. The largest and the smallest are those of the
/// timesteps, or, with whole_range, of training. With rescale_betas_zero_snr the last timestep has
/// ᾱ 2⁻²⁴, since σ would be infinite.
SigmaSchedule sigma_schedule(const SchedulerConfig& config, std::vector<double> timesteps,
                             bool whole_range);

}  // namespace longhand
