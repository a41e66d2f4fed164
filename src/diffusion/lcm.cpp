#include <cmath>

#include "core/error.h"
#include "diffusion/alpha_scheduler.h"
#include "diffusion/schedulers.h"

namespace longhand {
namespace {

/// Of the timesteps that the model was distilled on, evenly chosen ones from the noisiest on.
std::vector<double> distilled_timesteps(const SchedulerConfig& config, int steps) {
  const int original = config.original_inference_steps;
  if (original < 1 || original > config.num_train_timesteps) {
    fail(Kind::corrupt, "scheduler_config.json: original_inference_steps is {}; expected 1 to {}",
         original, config.num_train_timesteps);
  }
  if (steps > original) {
    fail(Kind::invalid_argument, "{} steps with lcm; expected at most original_inference_steps, {}",
         steps, original);
  }
  const int stride = config.num_train_timesteps / original;
  const double apart = static_cast<double>(original) / steps;
  std::vector<double> timesteps;
  for (int i = 0; i < steps; ++i) {
    timesteps.push_back((original - std::floor(i * apart)) * stride - 1);
  }
  return timesteps;
}

class Lcm : public AlphaScheduler {
 public:
  Lcm(const SchedulerConfig& config, int steps)
      : AlphaScheduler(config, steps, distilled_timesteps(config, steps)) {}

  at::Tensor step(const at::Tensor& model_output, std::size_t i, const at::Tensor& sample,
                  NoiseSource& noise) override {
    // The boundary condition of consistency models (Song et al. 2023): at timestep 0 the sample.
    constexpr double data = 0.5;
    const double scaled = timesteps_[i] * config_.timestep_scaling;
    const double skip = data * data / (scaled * scaled + data * data);
    const double out = scaled / std::sqrt(scaled * scaled + data * data);
    predicted_clean_ = out * predicted(model_output, sample, levels_[i]).clean + skip * sample;
    return i + 1 == timesteps_.size() ? predicted_clean_
                                      : add_noise(predicted_clean_, noise.draw_like(sample), i + 1);
  }
};

}  // namespace

std::unique_ptr<Scheduler> make_lcm(const SchedulerConfig& config, int steps) {
  return std::make_unique<Lcm>(config, steps);
}

}  // namespace longhand
