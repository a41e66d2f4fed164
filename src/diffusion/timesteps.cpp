#include "diffusion/timesteps.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "diffusion/noise_schedule.h"

namespace longhand {
namespace {

/// numpy.linspace.
std::vector<double> evenly(double first, double last, int count) {
  std::vector<double> values(static_cast<std::size_t>(count), first);
  const double step = (last - first) / std::max(1, count - 1);
  for (int i = 1; i < count; ++i) {
    values[static_cast<std::size_t>(i)] = i == count - 1 ? last : first + i * step;
  }
  return values;
}

std::vector<float> training_sigmas(const SchedulerConfig& config) {
  at::Tensor cumulative = alphas_cumprod(config);
  if (config.rescale_betas_zero_snr) {
    cumulative[-1] = std::pow(2.0, -24);
  }
  const at::Tensor sigmas = ((1 - cumulative) / cumulative).sqrt().contiguous();
  const float* values = sigmas.const_data_ptr<float>();
  return {values, values + sigmas.numel()};
}

/// The sigma of a fractional timestep.
double interpolated(const std::vector<float>& sigmas, double timestep) {
  const double at = std::clamp(timestep, 0.0, static_cast<double>(sigmas.size() - 1));
  const auto below = static_cast<std::size_t>(at);
  const auto above = std::min(below + 1, sigmas.size() - 1);
  const double slope = static_cast<double>(sigmas[above]) - sigmas[below];
  return slope * (at - static_cast<double>(below)) + sigmas[below];
}

/// The fractional timestep of a sigma: linear between the logarithms, to which `logarithms` belong.
double timestep_of(double sigma, const std::vector<float>& logarithms) {
  const double logarithm = std::log(std::max(sigma, 1e-10));
  const auto above = std::ranges::upper_bound(logarithms, logarithm);
  const auto low =
      std::clamp<std::ptrdiff_t>(above - logarithms.begin() - 1, 0, std::ssize(logarithms) - 2);
  const float from = logarithms[static_cast<std::size_t>(low)],
              to = logarithms[static_cast<std::size_t>(low) + 1];
  const double weight = std::clamp((from - logarithm) / (from - to), 0.0, 1.0);
  return (1 - weight) * static_cast<double>(low) + weight * static_cast<double>(low + 1);
}

std::vector<double> between(double largest, double smallest, int count, bool karras) {
  constexpr double rho = 7;
  std::vector<double> sigmas;
  if (karras) {
    const double from = std::pow(largest, 1 / rho), to = std::pow(smallest, 1 / rho);
    for (const double ramp : evenly(0, 1, count)) {
      sigmas.push_back(std::pow(from + ramp * (to - from), rho));
    }
  } else {
    for (const double logarithm : evenly(std::log(largest), std::log(smallest), count)) {
      sigmas.push_back(std::exp(logarithm));
    }
  }
  return sigmas;
}

}  // namespace

std::vector<double> spaced_timesteps(const SchedulerConfig& config, int steps, bool to_zero) {
  const int train = config.num_train_timesteps, points = steps + (to_zero ? 1 : 0);
  std::vector<double> timesteps;
  if (config.timestep_spacing == "linspace") {
    timesteps = evenly(0, train - 1, points);
  } else if (config.timestep_spacing == "leading") {
    const int stride = train / points;
    if (stride == 0) {
      fail(Kind::invalid_argument, "{} steps with leading spacing; this scheduler takes at most {}",
           steps, train - 1);
    }
    for (int i = 0; i < points; ++i) {
      timesteps.push_back(i * stride + config.steps_offset);
    }
  } else if (config.timestep_spacing == "trailing") {
    // numpy.arange's increment; that itself gives one timestep too many for some counts (61, 103).
    const double step = (train - static_cast<double>(train) / steps) - train;
    for (int i = steps; i-- > 0;) {
      const double below = i * step;  // by itself: fused with the sum it would round otherwise
      timesteps.push_back(std::nearbyint(train + below) - 1);
    }
  } else {
    fail(Kind::corrupt, "timestep_spacing {} is not known; expected linspace, leading or trailing",
         config.timestep_spacing);
  }
  std::ranges::reverse(timesteps);
  timesteps.resize(static_cast<std::size_t>(steps));
  return timesteps;
}

SigmaSchedule sigma_schedule(const SchedulerConfig& config, std::vector<double> timesteps,
                             bool whole_range) {
  const std::vector<float> all = training_sigmas(config);
  std::vector<double> sigmas;
  for (const double timestep : timesteps) {
    sigmas.push_back(interpolated(all, timestep));
  }
  if (config.use_karras_sigmas || config.use_exponential_sigmas) {
    sigmas = between(whole_range ? all.back() : sigmas.front(),
                     whole_range ? all.front() : sigmas.back(), static_cast<int>(sigmas.size()),
                     config.use_karras_sigmas);
    std::vector<float> logarithms;
    for (const float sigma : all) {
      logarithms.push_back(std::log(sigma));
    }
    std::ranges::transform(sigmas, timesteps.begin(),
                           [&](double sigma) { return timestep_of(sigma, logarithms); });
  }
  sigmas.push_back(config.final_sigmas_type == "sigma_min" ? all.front() : 0);
  return {std::move(timesteps), {sigmas.begin(), sigmas.end()}};
}

}  // namespace longhand
