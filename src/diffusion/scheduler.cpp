#include "diffusion/scheduler.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "diffusion/schedulers.h"

namespace longhand {
namespace {

struct SchedulerRow {
  const char* name;
  const char* class_name;
  const char* label;
  std::unique_ptr<Scheduler> (*make)(const SchedulerConfig& config, int steps);
  const char* options = "{}";  // what the name says beyond its class
};

// A class name means the first row that has it, without the row's options.
const SchedulerRow table[] = {
    {"euler", "EulerDiscreteScheduler", "Euler", make_euler},
    {"euler_a", "EulerAncestralDiscreteScheduler", "Euler a", make_euler_ancestral},
    {"heun", "HeunDiscreteScheduler", "Heun", make_heun},
    {"ddim", "DDIMScheduler", "DDIM", make_ddim},
    {"ddpm", "DDPMScheduler", "DDPM", make_ddpm},
    {"pndm", "PNDMScheduler", "PLMS", make_pndm, R"({"skip_prk_steps": true})"},
    {"dpm++_2m", "DPMSolverMultistepScheduler", "DPM++ 2M", make_dpm_solver,
     R"({"algorithm_type": "dpmsolver++"})"},
    {"dpm++_2m_karras", "DPMSolverMultistepScheduler", "DPM++ 2M Karras", make_dpm_solver,
     R"({"algorithm_type": "dpmsolver++", "use_karras_sigmas": true})"},
    {"dpm++_2m_sde", "DPMSolverMultistepScheduler", "DPM++ 2M SDE", make_dpm_solver,
     R"({"algorithm_type": "sde-dpmsolver++"})"},
    {"dpm++_2m_sde_karras", "DPMSolverMultistepScheduler", "DPM++ 2M SDE Karras", make_dpm_solver,
     R"({"algorithm_type": "sde-dpmsolver++", "use_karras_sigmas": true})"},
    {"unipc", "UniPCMultistepScheduler", "UniPC", make_unipc},
    {"lcm", "LCMScheduler", "LCM", make_lcm},
    {"unclip", "UnCLIPScheduler", "unCLIP", make_unclip},
};

const SchedulerRow& row(const std::string& name) {
  for (const SchedulerRow& each : table) {
    if (name == each.name || name == each.class_name) {
      return each;
    }
  }
  fail(Kind::invalid_argument, "scheduler {} is not known; expected one of {}", name,
       fmt::join(scheduler_names(), ", "));
}

/// diffusers' cutoff: the first timestep that belongs to the run before the hand-over.
double cutoff(const SchedulerConfig& config, double part) {
  if (!(part >= 0 && part <= 1)) {
    fail(Kind::invalid_argument, "denoising is handed over at {}; expected 0 to 1", part);
  }
  return std::nearbyint(config.num_train_timesteps - part * config.num_train_timesteps);
}

}  // namespace

at::Tensor Scheduler::add_noise(const at::Tensor& clean, const at::Tensor& noise,
                                std::size_t i) const {
  const auto [signal, amount] = levels_.at(i);
  return signal * clean + amount * noise;
}

Prediction Scheduler::predicted(const at::Tensor& model_output, const at::Tensor& sample,
                                Level level) {
  Prediction prediction = predict(config_, model_output, sample, level);
  predicted_clean_ = prediction.clean;
  return prediction;
}

std::size_t Scheduler::start_of_strength(double strength) const {
  if (!(strength >= 0 && strength <= 1)) {
    fail(Kind::invalid_argument, "strength is {}; expected 0 to 1", strength);
  }
  const int skipped = steps_ - static_cast<int>(steps_ * strength);
  return std::min(static_cast<std::size_t>(skipped * calls_per_step_), timesteps_.size());
}

std::size_t Scheduler::end_of_denoising(double part) const {
  const double least = cutoff(config_, part);
  return static_cast<std::size_t>(
      std::ranges::count_if(timesteps_, [&](double timestep) { return timestep >= least; }));
}

std::size_t Scheduler::start_of_denoising(double part) const {
  const std::size_t start = end_of_denoising(part);
  // A step of several calls is not entered in its middle.
  return start - start % static_cast<std::size_t>(calls_per_step_);
}

std::unique_ptr<Scheduler> make_scheduler(const std::string& name, const SchedulerConfig& config,
                                          int steps, double eta) {
  const SchedulerRow& chosen = row(name);
  const bool by_class = name == chosen.class_name;
  SchedulerConfig resolved =
      config.for_class(chosen.class_name,
                       by_class ? nlohmann::json::object() : nlohmann::json::parse(chosen.options));
  if (steps < 1 || steps > resolved.num_train_timesteps) {
    fail(Kind::invalid_argument, "{} steps; expected 1 to {}", steps, resolved.num_train_timesteps);
  }
  if (!(eta >= 0 && eta <= 1) || (eta > 0 && chosen.make != make_ddim)) {
    fail(Kind::invalid_argument, "eta {} with {}; eta is an option of ddim, from 0 to 1", eta,
         name);
  }
  resolved.eta = eta;
  return chosen.make(resolved, steps);
}

std::vector<std::string> scheduler_names() {
  std::vector<std::string> names;
  for (const SchedulerRow& each : table) {
    names.emplace_back(each.name);
  }
  return names;
}

std::string sampler_label(const std::string& name) { return row(name).label; }

}  // namespace longhand
