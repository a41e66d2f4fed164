// scheduler_config.json: the options of diffusers' schedulers, with the defaults of each class.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace longhand {

/// The options of one scheduler class, under their published names. An option that a class does not
/// have keeps the default below, and then changes nothing.
struct SchedulerConfig {
  std::string class_name = "EulerDiscreteScheduler";
  int num_train_timesteps = 1000;
  double beta_start = 0.0001;
  double beta_end = 0.02;
  std::string beta_schedule = "linear";  // linear, scaled_linear, squaredcos_cap_v2
  bool rescale_betas_zero_snr = false;
  std::string prediction_type = "epsilon";    // epsilon, v_prediction, sample
  std::string timestep_spacing = "linspace";  // linspace, leading, trailing
  int steps_offset = 0;
  bool set_alpha_to_one = true;
  bool clip_sample = false;
  double clip_sample_range = 1;
  bool thresholding = false;
  double dynamic_thresholding_ratio = 0.995;
  double sample_max_value = 1;
  std::string variance_type = "fixed_small";  // or fixed_small_log, fixed_large, learned(_range)
  bool use_karras_sigmas = false;
  bool use_exponential_sigmas = false;
  std::string final_sigmas_type = "zero";      // zero, sigma_min
  std::string algorithm_type = "dpmsolver++";  // dpmsolver++, sde-dpmsolver++
  std::string solver_type;                     // midpoint, heun; bh1, bh2
  int solver_order = 2;
  bool lower_order_final = true;
  bool euler_at_final = false;
  int original_inference_steps = 50;
  double timestep_scaling = 10;

  /// DDIM's η, 0 to 1: how much of the ancestral noise each step adds. A request's, not a file's.
  double eta = 0;
  /// What the options above were read from; for_class() reads it again.
  nlohmann::json file = nlohmann::json::object();

  /// A file's options with the defaults of the class that it names, whether or not that class and
  /// its options are supported here: another one may be chosen. Throws corrupt for a value of a
  /// wrong type or size.
  static SchedulerConfig from_json(const nlohmann::json& file);

  /// diffusers' X.from_config(config, **with): the file's options that class X has, then those of
  /// `with`. Throws invalid_argument where the outcome is not supported and would change numbers.
  SchedulerConfig for_class(const std::string& name,
                            const nlohmann::json& with = nlohmann::json::object()) const;
};

}  // namespace longhand
