#include "diffusion/noise_schedule.h"

#include <cmath>
#include <numbers>

#include "core/error.h"

namespace longhand {
namespace {

using at::Tensor;

Tensor betas(const SchedulerConfig& config) {
  const int count = config.num_train_timesteps;
  if (config.beta_schedule == "linear") {
    return at::linspace(config.beta_start, config.beta_end, count, at::kFloat);
  }
  if (config.beta_schedule == "scaled_linear") {
    return at::linspace(std::sqrt(config.beta_start), std::sqrt(config.beta_end), count, at::kFloat)
        .square();
  }
  if (config.beta_schedule == "squaredcos_cap_v2") {
    const auto alpha_bar = [](double t) {
      return std::pow(std::cos((t + 0.008) / 1.008 * std::numbers::pi / 2), 2);
    };
    Tensor result = at::empty({count}, at::kFloat);
    float* values = result.mutable_data_ptr<float>();
    for (int i = 0; i < count; ++i) {
      const double ratio = alpha_bar((i + 1.0) / count) / alpha_bar(static_cast<double>(i) / count);
      values[i] = static_cast<float>(std::min(1.0 - ratio, 0.999));
    }
    return result;
  }
  fail(Kind::corrupt,
       "beta_schedule {} is not known; expected linear, scaled_linear or squaredcos_cap_v2",
       config.beta_schedule);
}

/// Lin et al. 2024, algorithm 1: the last timestep holds no signal.
Tensor rescaled_to_zero_snr(const Tensor& alphas_cumprod) {
  const Tensor root = alphas_cumprod.sqrt();
  const Tensor first = root[0].clone(), last = root[-1].clone();
  return ((root - last) * (first / (first - last))).square();
}

Tensor per_sample(const Tensor& values, const Tensor& timesteps, const Tensor& like) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(like.dim()), 1);
  shape[0] = timesteps.size(0);
  return values.index_select(0, timesteps).view(shape).to(like.scalar_type());
}

template <class Value>
void read(const nlohmann::json& config, const char* name, Value& value) {
  const auto found = config.find(name);
  if (found == config.end() || found->is_null()) {
    return;
  }
  try {
    value = found->template get<Value>();
  } catch (const nlohmann::json::exception&) {
    fail(Kind::corrupt, "scheduler_config.json: {} has the unexpected value {}", name,
         found->dump());
  }
}

}  // namespace

SchedulerConfig SchedulerConfig::from_json(const nlohmann::json& config) {
  SchedulerConfig c;
  read(config, "_class_name", c.class_name);
  read(config, "num_train_timesteps", c.num_train_timesteps);
  read(config, "beta_start", c.beta_start);
  read(config, "beta_end", c.beta_end);
  read(config, "beta_schedule", c.beta_schedule);
  read(config, "prediction_type", c.prediction_type);
  read(config, "timestep_spacing", c.timestep_spacing);
  read(config, "steps_offset", c.steps_offset);
  read(config, "set_alpha_to_one", c.set_alpha_to_one);
  read(config, "clip_sample", c.clip_sample);
  read(config, "clip_sample_range", c.clip_sample_range);
  read(config, "rescale_betas_zero_snr", c.rescale_betas_zero_snr);
  if (c.num_train_timesteps < 1 || c.num_train_timesteps > 100000) {
    fail(Kind::corrupt, "num_train_timesteps is {}; expected 1 to 100000", c.num_train_timesteps);
  }
  return c;
}

Tensor alphas_cumprod(const SchedulerConfig& config) {
  const Tensor cumulative = at::cumprod(1.0 - betas(config), 0);
  return config.rescale_betas_zero_snr ? rescaled_to_zero_snr(cumulative) : cumulative;
}

Tensor add_noise(const Tensor& alphas_cumprod, const Tensor& x, const Tensor& noise,
                 const Tensor& timesteps) {
  return per_sample(alphas_cumprod.sqrt(), timesteps, x) * x +
         per_sample((1.0 - alphas_cumprod).sqrt(), timesteps, x) * noise;
}

Tensor training_target(const SchedulerConfig& config, const Tensor& alphas_cumprod, const Tensor& x,
                       const Tensor& noise, const Tensor& timesteps) {
  if (config.prediction_type == "epsilon") {
    return noise;
  }
  if (config.prediction_type == "v_prediction") {
    return per_sample(alphas_cumprod.sqrt(), timesteps, x) * noise -
           per_sample((1.0 - alphas_cumprod).sqrt(), timesteps, x) * x;
  }
  if (config.prediction_type == "sample") {
    return x;
  }
  fail(Kind::corrupt, "prediction_type {} is not known; expected epsilon, v_prediction or sample",
       config.prediction_type);
}

}  // namespace longhand
