// Schedulers: from noise to latents in a number of steps. Each is a row of a table; steps, spacing
// and numbers are those of diffusers' scheduler of the same name.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "diffusion/noise_source.h"
#include "diffusion/prediction.h"
#include "diffusion/scheduler_config.h"

namespace longhand {

/// One sampling run. Samples are float32 [batch, channels, …]. A run may start at any step, where
/// multistep schedulers have no history; from there the steps are taken in order.
class Scheduler {
 public:
  virtual ~Scheduler() = default;
  /// The timestep that the model is given at each step, from noisy to clean.
  const std::vector<double>& timesteps() const { return timesteps_; }
  /// The standard deviation of the noise that a run from nothing starts with.
  virtual double init_noise_sigma() const { return 1; }
  /// What the model sees at step i.
  virtual at::Tensor scale_model_input(const at::Tensor& sample, std::size_t i) const {
    return sample;
  }
  /// From the model's answer at step i, which may have the variance as a second half of its
  /// channels, to the next sample. Only ancestral and stochastic steps draw noise.
  virtual at::Tensor step(const at::Tensor& model_output, std::size_t i, const at::Tensor& sample,
                          NoiseSource& noise) = 0;
  /// A clean sample noised to where step i starts.
  at::Tensor add_noise(const at::Tensor& clean, const at::Tensor& noise, std::size_t i) const;
  /// The clean sample as it was predicted at the last step that was taken.
  const at::Tensor& predicted_clean() const { return predicted_clean_; }

  /// Where image-to-image starts: ⌊strength · steps⌋ of the steps run (diffusers' get_timesteps).
  /// Throws invalid_argument unless 0 ≤ strength ≤ 1; with 0 it is one past the last step.
  std::size_t start_of_strength(double strength) const;
  /// One past the last step of a run that is handed over at this part of the way, 0 to 1, and the
  /// first step of the run that takes it over (diffusers' denoising_end and denoising_start).
  std::size_t end_of_denoising(double part) const;
  std::size_t start_of_denoising(double part) const;

 protected:
  Scheduler(const SchedulerConfig& config, int steps) : config_(config), steps_(steps) {}
  /// predict() with this run's options; keeps the clean sample.
  Prediction predicted(const at::Tensor& model_output, const at::Tensor& sample, Level level);

  SchedulerConfig config_;
  int steps_;
  int calls_per_step_ = 1;
  std::vector<double> timesteps_;
  std::vector<Level> levels_;  // at the start of each step; σ schedules have one more, of the end
  at::Tensor predicted_clean_;
};

/// A scheduler by a name of --scheduler ("euler", "dpm++_2m_karras") or diffusers' class name. The
/// options of `config` that the class has are kept, as by diffusers' from_config(); a name may set
/// some of them. eta is DDIM's, 0 to 1. Throws invalid_argument for a name that is not in the
/// table, listing those that are, for an option that is not supported, and for a number of steps
/// that the scheduler cannot take.
std::unique_ptr<Scheduler> make_scheduler(const std::string& name, const SchedulerConfig& config,
                                          int steps, double eta = 0);

/// Names for --scheduler, in the table's order.
std::vector<std::string> scheduler_names();

/// A1111's name of a scheduler, for PNG metadata: "Euler a", "DPM++ 2M Karras".
std::string sampler_label(const std::string& name);

}  // namespace longhand
