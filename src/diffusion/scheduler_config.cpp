#include "diffusion/scheduler_config.h"

#include <algorithm>
#include <map>

#include "core/error.h"

namespace longhand {
namespace {

using nlohmann::json;

/// What a class knows: its options with their defaults; where they differ from those of
/// `supported_everywhere`, the values that are supported; and values that it reads as another.
struct ClassOptions {
  json defaults = json::object();
  json supported = json::object();
  json aliases = json::object();
};

const json of_every_class = R"({
  "num_train_timesteps": 1000, "beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear",
  "trained_betas": null, "prediction_type": "epsilon"})"_json;

const json supported_everywhere = R"({
  "trained_betas": [null],
  "beta_schedule": ["linear", "scaled_linear", "squaredcos_cap_v2"],
  "prediction_type": ["epsilon", "v_prediction", "sample"],
  "timestep_spacing": ["linspace", "leading", "trailing"],
  "timestep_type": ["discrete"], "interpolation_type": ["linear"],
  "final_sigmas_type": ["zero", "sigma_min"], "sigma_min": [null], "sigma_max": [null],
  "use_beta_sigmas": [false], "use_lu_lambdas": [false], "lambda_min_clipped": [null],
  "use_flow_sigmas": [false], "use_dynamic_shifting": [false], "shift_terminal": [null],
  "variance_type": ["fixed_small", "fixed_small_log", "fixed_large", "learned", "learned_range"],
  "skip_prk_steps": [true], "algorithm_type": ["dpmsolver++", "sde-dpmsolver++"],
  "solver_order": [1, 2, 3], "predict_x0": [true], "disable_corrector": [[]], "solver_p": [null]
})"_json;

const std::map<std::string, ClassOptions> classes = {
    {"DDIMScheduler", {R"({
      "clip_sample": true, "clip_sample_range": 1.0, "set_alpha_to_one": true, "steps_offset": 0,
      "thresholding": false, "dynamic_thresholding_ratio": 0.995, "sample_max_value": 1.0,
      "timestep_spacing": "leading", "rescale_betas_zero_snr": false})"_json}},
    {"DDPMScheduler", {R"({
      "variance_type": "fixed_small", "clip_sample": true, "clip_sample_range": 1.0,
      "thresholding": false, "dynamic_thresholding_ratio": 0.995, "sample_max_value": 1.0,
      "timestep_spacing": "leading", "steps_offset": 0, "rescale_betas_zero_snr": false})"_json}},
    {"UnCLIPScheduler",
     {R"({
      "variance_type": "fixed_small_log", "clip_sample": true, "clip_sample_range": 1.0,
      "beta_schedule": "squaredcos_cap_v2"})"_json,
      R"({"variance_type": ["fixed_small_log", "learned_range"],
          "prediction_type": ["epsilon", "sample"],
          "beta_schedule": ["squaredcos_cap_v2"]})"_json}},
    {"LCMScheduler", {R"({
      "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
      "original_inference_steps": 50, "timestep_scaling": 10.0, "clip_sample": false,
      "clip_sample_range": 1.0, "set_alpha_to_one": true, "thresholding": false,
      "dynamic_thresholding_ratio": 0.995, "sample_max_value": 1.0,
      "rescale_betas_zero_snr": false})"_json}},
    {"PNDMScheduler",
     {R"({
      "skip_prk_steps": false, "set_alpha_to_one": false, "timestep_spacing": "leading",
      "steps_offset": 0})"_json,
      R"({"prediction_type": ["epsilon", "v_prediction"]})"_json}},
    {"EulerDiscreteScheduler", {R"({
      "interpolation_type": "linear", "timestep_type": "discrete", "use_karras_sigmas": false,
      "use_exponential_sigmas": false, "use_beta_sigmas": false, "sigma_min": null,
      "sigma_max": null, "final_sigmas_type": "zero", "timestep_spacing": "linspace",
      "steps_offset": 0, "rescale_betas_zero_snr": false})"_json}},
    {"EulerAncestralDiscreteScheduler",
     {R"({
      "timestep_spacing": "linspace", "steps_offset": 0, "rescale_betas_zero_snr": false})"_json,
      R"({"prediction_type": ["epsilon", "v_prediction"]})"_json}},
    {"HeunDiscreteScheduler", {R"({
      "beta_start": 0.00085, "beta_end": 0.012, "use_karras_sigmas": false,
      "use_exponential_sigmas": false, "use_beta_sigmas": false, "clip_sample": false,
      "clip_sample_range": 1.0, "timestep_spacing": "linspace", "steps_offset": 0})"_json}},
    {"DPMSolverMultistepScheduler",
     {R"({
      "solver_order": 2, "algorithm_type": "dpmsolver++", "solver_type": "midpoint",
      "lower_order_final": true, "euler_at_final": false, "thresholding": false,
      "dynamic_thresholding_ratio": 0.995, "sample_max_value": 1.0, "use_karras_sigmas": false,
      "use_exponential_sigmas": false, "use_beta_sigmas": false, "use_lu_lambdas": false,
      "use_flow_sigmas": false, "use_dynamic_shifting": false, "lambda_min_clipped": null,
      "final_sigmas_type": "zero", "timestep_spacing": "linspace", "steps_offset": 0,
      "rescale_betas_zero_snr": false})"_json,
      R"({"solver_type": ["midpoint", "heun"]})"_json,
      R"({"solver_type": {"logrho": "midpoint", "bh1": "midpoint", "bh2": "midpoint"},
          "algorithm_type": {"deis": "dpmsolver++"}})"_json}},
    {"UniPCMultistepScheduler",
     {R"({
      "solver_order": 2, "solver_type": "bh2", "predict_x0": true, "lower_order_final": true,
      "disable_corrector": [], "solver_p": null, "thresholding": false,
      "dynamic_thresholding_ratio": 0.995, "sample_max_value": 1.0, "use_karras_sigmas": false,
      "use_exponential_sigmas": false, "use_beta_sigmas": false, "use_flow_sigmas": false,
      "use_dynamic_shifting": false, "shift_terminal": null, "sigma_min": null, "sigma_max": null,
      "final_sigmas_type": "zero", "timestep_spacing": "linspace", "steps_offset": 0,
      "rescale_betas_zero_snr": false})"_json,
      R"({"solver_type": ["bh1", "bh2"]})"_json,
      R"({"solver_type": {"midpoint": "bh2", "heun": "bh2", "logrho": "bh2"}})"_json}},
};

/// The options of a class: its defaults, overwritten by those that it has of each of `given`.
json merged(const ClassOptions& options, const std::vector<json>& given) {
  json result = of_every_class;
  result.update(options.defaults);
  for (const json& each : given) {
    for (const auto& [name, value] : each.items()) {
      if (result.contains(name) && !value.is_null()) {
        result[name] = value;
      }
    }
  }
  for (const auto& [name, readings] : options.aliases.items()) {
    json& value = result[name];
    if (value.is_string()) {
      value = readings.value(value.get<std::string>(), value);
    }
  }
  return result;
}

void refuse_unsupported(const std::string& class_name, const ClassOptions& options,
                        const json& merged) {
  json supported = supported_everywhere;
  supported.update(options.supported);
  for (const auto& [name, value] : merged.items()) {
    if (supported.contains(name) &&
        std::ranges::find(supported[name], value) == supported[name].end()) {
      fail(Kind::invalid_argument,
           "{} with {} {} is not supported (scheduler_config.json); supported: {}. Choose another "
           "scheduler, or change the option",
           class_name, name, value.dump(), supported[name].dump());
    }
  }
  if (merged.value("use_karras_sigmas", false) && merged.value("use_exponential_sigmas", false)) {
    fail(Kind::invalid_argument,
         "{} has both use_karras_sigmas and use_exponential_sigmas (scheduler_config.json); "
         "expected at most one",
         class_name);
  }
}

template <class Value>
void read(const json& options, const char* name, Value& value) {
  const auto found = options.find(name);
  if (found == options.end() || found->is_null()) {
    return;
  }
  try {
    value = found->template get<Value>();
  } catch (const json::exception&) {
    fail(Kind::corrupt, "scheduler_config.json: {} has the unexpected value {}", name,
         found->dump());
  }
}

template <class Value>
void read_between(const json& options, const char* name, Value least, Value most, Value& value) {
  read(options, name, value);
  if (!(value >= least && value <= most)) {
    fail(Kind::corrupt, "scheduler_config.json: {} is {}; expected {} to {}", name, value, least,
         most);
  }
}

SchedulerConfig typed(const std::string& class_name, const json& options, const json& file) {
  SchedulerConfig c;
  c.class_name = class_name;
  c.file = file;
  read_between(options, "num_train_timesteps", 1, 100000, c.num_train_timesteps);
  read_between(options, "beta_start", 0.0, 1.0, c.beta_start);
  read_between(options, "beta_end", 0.0, 1.0, c.beta_end);
  read(options, "beta_schedule", c.beta_schedule);
  read(options, "rescale_betas_zero_snr", c.rescale_betas_zero_snr);
  read(options, "prediction_type", c.prediction_type);
  read(options, "timestep_spacing", c.timestep_spacing);
  read_between(options, "steps_offset", 0, c.num_train_timesteps, c.steps_offset);
  read(options, "set_alpha_to_one", c.set_alpha_to_one);
  read(options, "clip_sample", c.clip_sample);
  read_between(options, "clip_sample_range", 0.0, 1e6, c.clip_sample_range);
  read(options, "thresholding", c.thresholding);
  read_between(options, "dynamic_thresholding_ratio", 0.0, 1.0, c.dynamic_thresholding_ratio);
  read_between(options, "sample_max_value", 1.0, 1e6, c.sample_max_value);
  read(options, "variance_type", c.variance_type);
  read(options, "use_karras_sigmas", c.use_karras_sigmas);
  read(options, "use_exponential_sigmas", c.use_exponential_sigmas);
  read(options, "final_sigmas_type", c.final_sigmas_type);
  read(options, "algorithm_type", c.algorithm_type);
  read(options, "solver_type", c.solver_type);
  read(options, "solver_order", c.solver_order);
  read(options, "lower_order_final", c.lower_order_final);
  read(options, "euler_at_final", c.euler_at_final);
  read(options, "original_inference_steps", c.original_inference_steps);
  read_between(options, "timestep_scaling", 0.0, 1e6, c.timestep_scaling);
  return c;
}

}  // namespace

SchedulerConfig SchedulerConfig::from_json(const json& file) {
  std::string name = SchedulerConfig().class_name;
  read(file, "_class_name", name);
  const auto found = classes.find(name);
  return typed(name, merged(found == classes.end() ? ClassOptions() : found->second, {file}), file);
}

SchedulerConfig SchedulerConfig::for_class(const std::string& name, const json& with) const {
  const ClassOptions& options = classes.at(name);
  const json result = merged(options, {file, with});
  refuse_unsupported(name, options, result);
  return typed(name, result, file);
}

}  // namespace longhand
