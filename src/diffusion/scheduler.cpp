#include "diffusion/scheduler.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "diffusion/ddim.h"
#include "diffusion/euler.h"

namespace longhand {
namespace {

struct SchedulerRow {
  const char* name;
  const char* class_name;
  const char* label;
  std::unique_ptr<Scheduler> (*make)(const SchedulerConfig& config, int steps);
};

template <class Made>
std::unique_ptr<Scheduler> make(const SchedulerConfig& config, int steps) {
  return std::make_unique<Made>(config, steps);
}

const SchedulerRow table[] = {
    {"euler", "EulerDiscreteScheduler", "Euler", make<Euler>},
    {"ddim", "DDIMScheduler", "DDIM", make<Ddim>},
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

}  // namespace

std::unique_ptr<Scheduler> make_scheduler(const std::string& name, const SchedulerConfig& config,
                                          int steps) {
  if (steps < 1 || steps > config.num_train_timesteps) {
    fail(Kind::invalid_argument, "{} steps; expected 1 to {}", steps, config.num_train_timesteps);
  }
  return row(name).make(config, steps);
}

std::vector<std::string> scheduler_names() {
  std::vector<std::string> names;
  for (const SchedulerRow& each : table) {
    names.emplace_back(each.name);
  }
  return names;
}

std::string sampler_label(const std::string& name) { return row(name).label; }

std::vector<double> spaced_timesteps(const SchedulerConfig& config, int steps) {
  const int count = config.num_train_timesteps;
  std::vector<double> timesteps;
  for (int i = 0; i < steps; ++i) {
    if (config.timestep_spacing == "linspace") {
      timesteps.push_back(steps == 1 ? 0.0 : (count - 1.0) * i / (steps - 1.0));
    } else if (config.timestep_spacing == "leading") {
      timesteps.push_back(i * (count / steps) + config.steps_offset);
    } else if (config.timestep_spacing == "trailing") {
      timesteps.push_back(
          std::nearbyint(count - static_cast<double>(count) / steps * (steps - 1 - i)) - 1);
    } else {
      fail(Kind::corrupt,
           "timestep_spacing {} is not known; expected linspace, leading or trailing",
           config.timestep_spacing);
    }
  }
  std::ranges::reverse(timesteps);
  return timesteps;
}

}  // namespace longhand
