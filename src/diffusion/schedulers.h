// The constructors of the table in scheduler.cpp. Options are resolved for the class; steps are 1
// to num_train_timesteps. Each throws invalid_argument for what it cannot do.
#pragma once

#include <memory>

#include "diffusion/scheduler.h"

namespace longhand {

/// Song et al. 2021, equation 12, with σ of equation 16 times η (DDIMScheduler).
std::unique_ptr<Scheduler> make_ddim(const SchedulerConfig& config, int steps);

/// Ho et al. 2020, algorithm 2, with the variances of Nichol & Dhariwal 2021 (DDPMScheduler).
std::unique_ptr<Scheduler> make_ddpm(const SchedulerConfig& config, int steps);

/// DDPM's step as unCLIP takes it, on timesteps from the last training timestep to 0
/// (UnCLIPScheduler). At least 2 steps.
std::unique_ptr<Scheduler> make_unclip(const SchedulerConfig& config, int steps);

/// Multistep latent consistency sampling: Luo et al. 2023 (LCMScheduler). At most
/// original_inference_steps.
std::unique_ptr<Scheduler> make_lcm(const SchedulerConfig& config, int steps);

/// Pseudo linear multistep: Liu et al. 2022, F-PNDM without Runge-Kutta steps (PNDMScheduler with
/// skip_prk_steps). One call of the model more than steps, since the first step is taken twice. A
/// run that starts later than the first step also takes its first step twice and then keeps to the
/// timesteps, so that it ends a step early, as diffusers does.
std::unique_ptr<Scheduler> make_pndm(const SchedulerConfig& config, int steps);

/// Euler's method on the probability-flow ODE: Karras et al. 2022, algorithm 2 without churn
/// (EulerDiscreteScheduler).
std::unique_ptr<Scheduler> make_euler(const SchedulerConfig& config, int steps);

/// Euler's method to less noise than the next level has, and fresh noise for the rest
/// (EulerAncestralDiscreteScheduler).
std::unique_ptr<Scheduler> make_euler_ancestral(const SchedulerConfig& config, int steps);

/// Heun's method: Karras et al. 2022, algorithm 1 (HeunDiscreteScheduler). Two calls of the model a
/// step, one for the last: steps of a run are its calls, and it may start at even ones only.
std::unique_ptr<Scheduler> make_heun(const SchedulerConfig& config, int steps);

/// DPM-Solver++ multistep of order 1 to 3 and its SDE variant of order 1 or 2: Lu et al. 2022,
/// algorithm 2 (DPMSolverMultistepScheduler).
std::unique_ptr<Scheduler> make_dpm_solver(const SchedulerConfig& config, int steps);

/// UniPC of order 1 to 3 with prediction of the clean sample: Zhao et al. 2023
/// (UniPCMultistepScheduler).
std::unique_ptr<Scheduler> make_unipc(const SchedulerConfig& config, int steps);

}  // namespace longhand
