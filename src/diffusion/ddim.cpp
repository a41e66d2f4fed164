#include "diffusion/ddim.h"

#include <cmath>

#include "core/error.h"

namespace longhand {

Ddim::Ddim(const SchedulerConfig& config, int steps)
    : config_(config),
      alphas_cumprod_(alphas_cumprod(config)),
      stride_(config.num_train_timesteps / steps) {
  timesteps_ = spaced_timesteps(config, steps);
  for (double& timestep : timesteps_) {
    timestep = std::nearbyint(timestep);
    if (timestep >= config.num_train_timesteps) {
      fail(Kind::invalid_argument,
           "{} steps with steps_offset {} pass the last of {} training timesteps; take fewer steps",
           steps, config.steps_offset, config.num_train_timesteps);
    }
  }
}

double Ddim::alpha_at(std::int64_t timestep) const {
  if (timestep < 0) {
    return config_.set_alpha_to_one ? 1.0 : alphas_cumprod_.const_data_ptr<float>()[0];
  }
  return alphas_cumprod_.const_data_ptr<float>()[timestep];
}

at::Tensor Ddim::step(const at::Tensor& model_output, std::size_t i, const at::Tensor& sample) {
  const auto timestep = static_cast<std::int64_t>(timesteps_[i]);
  const double alpha = alpha_at(timestep), next = alpha_at(timestep - stride_);
  const double signal = std::sqrt(alpha), noise = std::sqrt(1 - alpha);
  const at::Tensor output = model_output.to(at::kFloat);
  at::Tensor clean, epsilon;
  if (config_.prediction_type == "epsilon") {
    epsilon = output;
    clean = (sample - noise * output) / signal;
  } else if (config_.prediction_type == "v_prediction") {
    clean = signal * sample - noise * output;
    epsilon = signal * output + noise * sample;
  } else {
    clean = output;
    epsilon = (sample - signal * clean) / noise;
  }
  if (config_.clip_sample) {
    clean = clean.clamp(-config_.clip_sample_range, config_.clip_sample_range);
  }
  return std::sqrt(next) * clean + std::sqrt(1 - next) * epsilon;
}

at::Tensor Ddim::add_noise(const at::Tensor& clean, const at::Tensor& noise, std::size_t i) const {
  const double alpha = alpha_at(static_cast<std::int64_t>(timesteps_[i]));
  return std::sqrt(alpha) * clean + std::sqrt(1 - alpha) * noise;
}

}  // namespace longhand
