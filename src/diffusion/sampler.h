// The loop from noise to a sample, and classifier-free guidance (Ho & Salimans 2022).
#pragma once

#include <functional>

#include "diffusion/scheduler.h"

namespace longhand {

/// A model's answer at a timestep, guidance and conditions included: sample [batch, channels, …] as
/// scale_model_input gives it → [batch, channels or twice as many, …].
using Denoise = std::function<at::Tensor(const at::Tensor& sample, double timestep)>;

/// A network alone: input [batch, …], timesteps [batch] → [batch, …].
using Network = std::function<at::Tensor(const at::Tensor& input, const at::Tensor& timesteps)>;

/// A network that computes in the placement's type on its device, with its conditions in it. Where
/// scale > 1 those are of both branches of guidance, [2·batch, …] with the unconditional one first,
/// and so is the input.
Denoise guided_denoise(Network network, double scale, const at::TensorOptions& placement,
                       double rescale = 0);

/// From an answer for both branches [2·batch, …], the unconditional one first: u + scale · (c - u)
/// in float32. With `rescale` φ, a share φ of it is brought to c's standard deviation, a picture
/// each (Lin et al. 2024, section 3.4). Channels beyond `channels` (a variance) are the conditional
/// branch's.
at::Tensor guided(const at::Tensor& both, double scale, std::int64_t channels, double rescale = 0);

/// A part of a run, and what happens on the way.
struct SamplingSpan {
  std::size_t begin = 0;
  std::size_t end = std::numeric_limits<std::size_t>::max();  // one past the last step
  /// Called after each step with its number and the sample, which it may change (a mask does); may
  /// throw to stop.
  std::function<void(std::size_t step, at::Tensor& sample)> on_step;
};

/// Called after each step of a run, whichever network takes it; may throw to stop.
using OnStep = std::function<void()>;

/// A whole run that tells of its steps.
SamplingSpan counted(OnStep on_step);

/// sample, float32, as noisy as the step `begin` expects → the sample after the span.
at::Tensor run_sampler(Scheduler& scheduler, const Denoise& denoise, at::Tensor sample,
                       NoiseSource& noise, const SamplingSpan& span = {});

}  // namespace longhand
