#include "diffusion/noise_schedule.h"

#include <cmath>
#include <numbers>

#include "core/error.h"

namespace longhand {
namespace {

using at::Tensor;

/// Nichol & Dhariwal 2021, equation 17.
Tensor cosine_betas(int count) {
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

Tensor scheduled_betas(const SchedulerConfig& config) {
  const int count = config.num_train_timesteps;
  if (config.beta_schedule == "linear") {
    return at::linspace(config.beta_start, config.beta_end, count, at::kFloat);
  }
  if (config.beta_schedule == "scaled_linear") {
    return at::linspace(std::sqrt(config.beta_start), std::sqrt(config.beta_end), count, at::kFloat)
        .square();
  }
  if (config.beta_schedule == "squaredcos_cap_v2") {
    return cosine_betas(count);
  }
  fail(Kind::corrupt,
       "beta_schedule {} is not known; expected linear, scaled_linear or squaredcos_cap_v2",
       config.beta_schedule);
}

/// Lin et al. 2024, algorithm 1: the last timestep holds no signal.
Tensor rescaled_to_zero_snr(const Tensor& betas) {
  const Tensor root = at::cumprod(1.0 - betas, 0).sqrt();
  const Tensor first = root[0], last = root[-1];
  const Tensor cumulative = ((root - last) * (first / (first - last))).square();
  const auto count = cumulative.size(0);
  return 1.0 - at::cat({cumulative.narrow(0, 0, 1),
                        cumulative.narrow(0, 1, count - 1) / cumulative.narrow(0, 0, count - 1)});
}

Tensor per_sample(const Tensor& values, const Tensor& timesteps, const Tensor& like) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(like.dim()), 1);
  shape[0] = timesteps.size(0);
  return values.index_select(0, timesteps).view(shape).to(like.scalar_type());
}

}  // namespace

Tensor betas(const SchedulerConfig& config) {
  const Tensor scheduled = scheduled_betas(config);
  return config.rescale_betas_zero_snr ? rescaled_to_zero_snr(scheduled) : scheduled;
}

Tensor alphas_cumprod(const SchedulerConfig& config) { return at::cumprod(1.0 - betas(config), 0); }

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
