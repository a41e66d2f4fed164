#include "diffusion/euler.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace longhand {

Euler::Euler(const SchedulerConfig& config, int steps) : config_(config) {
  timesteps_ = spaced_timesteps(config, steps);
  const at::Tensor cumulative = alphas_cumprod(config);
  const at::Tensor all = ((1 - cumulative) / cumulative).sqrt().contiguous();
  const float* sigma = all.const_data_ptr<float>();
  const auto last = static_cast<double>(all.size(0) - 1);
  for (const double timestep : timesteps_) {  // linear interpolation between training timesteps
    const double at = std::clamp(timestep, 0.0, last);
    const auto below = static_cast<std::int64_t>(at);
    const auto above = std::min(below + 1, all.size(0) - 1);
    const double weight = at - static_cast<double>(below);
    sigmas_.push_back(static_cast<float>(sigma[below] + weight * (sigma[above] - sigma[below])));
  }
  sigmas_.push_back(0);
}

double Euler::init_noise_sigma() const {
  const double largest = *std::ranges::max_element(sigmas_);
  return config_.timestep_spacing == "leading" ? std::sqrt(largest * largest + 1) : largest;
}

at::Tensor Euler::scale_model_input(const at::Tensor& sample, std::size_t i) const {
  return sample / std::sqrt(sigmas_[i] * sigmas_[i] + 1);
}

at::Tensor Euler::step(const at::Tensor& model_output, std::size_t i, const at::Tensor& sample) {
  const double sigma = sigmas_[i];
  const at::Tensor output = model_output.to(at::kFloat);
  at::Tensor clean;
  if (config_.prediction_type == "epsilon") {
    clean = sample - sigma * output;
  } else if (config_.prediction_type == "v_prediction") {
    clean = output * (-sigma / std::sqrt(sigma * sigma + 1)) + sample / (sigma * sigma + 1);
  } else {
    clean = output;
  }
  return sample + (sample - clean) / sigma * (sigmas_[i + 1] - sigma);
}

at::Tensor Euler::add_noise(const at::Tensor& clean, const at::Tensor& noise, std::size_t i) const {
  return clean + noise * sigmas_[i];
}

}  // namespace longhand
