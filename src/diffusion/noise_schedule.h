// The forward process: how much signal and noise a timestep holds (Ho et al. 2020;
// scheduler_config.json).
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "nn/torch.h"

namespace longhand {

/// The options of a scheduler_config.json that say what was trained and how timesteps are spaced.
struct SchedulerConfig {
  std::string class_name = "EulerDiscreteScheduler";
  int num_train_timesteps = 1000;
  double beta_start = 0.0001;
  double beta_end = 0.02;
  std::string beta_schedule = "linear";       // linear, scaled_linear, squaredcos_cap_v2
  std::string prediction_type = "epsilon";    // epsilon, v_prediction, sample
  std::string timestep_spacing = "linspace";  // linspace, leading, trailing
  int steps_offset = 0;
  bool set_alpha_to_one = true;
  bool clip_sample = false;
  double clip_sample_range = 1.0;
  bool rescale_betas_zero_snr = false;

  static SchedulerConfig from_json(const nlohmann::json& config);
};

/// ᾱ_t for each training timestep, float32, as the reference computes it.
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
