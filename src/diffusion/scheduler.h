// Schedulers: from noise to latents in a number of steps. Each is a row of a table; steps, spacing
// and numbers are those of diffusers' scheduler of the same name.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "diffusion/noise_schedule.h"

namespace longhand {

/// One sampling run. Samples are float32 [batch, …].
class Scheduler {
 public:
  virtual ~Scheduler() = default;
  /// The timestep that the model is given at each step, from noisy to clean.
  const std::vector<double>& timesteps() const { return timesteps_; }
  /// The standard deviation of the noise that a run from nothing starts with.
  virtual double init_noise_sigma() const = 0;
  /// What the model sees at step i.
  virtual at::Tensor scale_model_input(const at::Tensor& sample, std::size_t i) const = 0;
  /// From the model's answer at step i to the next sample.
  virtual at::Tensor step(const at::Tensor& model_output, std::size_t i,
                          const at::Tensor& sample) = 0;
  /// A clean sample noised to where step i starts.
  virtual at::Tensor add_noise(const at::Tensor& clean, const at::Tensor& noise,
                               std::size_t i) const = 0;

 protected:
  std::vector<double> timesteps_;
};

/// A scheduler by name: "euler", "ddim", or diffusers' class name. Throws invalid_argument for a
/// name that is not in the table, listing those that are.
std::unique_ptr<Scheduler> make_scheduler(const std::string& name, const SchedulerConfig& config,
                                          int steps);

/// Names for --scheduler, in the table's order.
std::vector<std::string> scheduler_names();

/// A1111's name of a scheduler, for PNG metadata: "Euler", "DDIM".
std::string sampler_label(const std::string& name);

/// Evenly spaced training timesteps, from noisy to clean (diffusers' timestep_spacing).
std::vector<double> spaced_timesteps(const SchedulerConfig& config, int steps);

}  // namespace longhand
