#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "diffusion/alpha_scheduler.h"
#include "diffusion/noise_schedule.h"
#include "diffusion/schedulers.h"
#include "diffusion/timesteps.h"

namespace longhand {
namespace {

using at::Tensor;

class Ddpm : public AlphaScheduler {
 public:
  /// With table_betas, β of a step to the very next training timestep is the table's own, not what
  /// the rounded ᾱ give.
  Ddpm(const SchedulerConfig& config, int steps, const std::vector<double>& timesteps,
       bool table_betas)
      : AlphaScheduler(config, steps, timesteps) {
    if (table_betas) {
      betas_ = betas(config);
    }
  }

  Tensor step(const Tensor& model_output, std::size_t i, const Tensor& sample,
              NoiseSource& noise) override {
    const std::int64_t timestep = timestep_at(i);
    const std::int64_t next = i + 1 < timesteps_.size() ? timestep_at(i + 1) : -1;
    const float alpha = alpha_at(timestep), alpha_next = alpha_at(next);
    const float beta = betas_.defined() && next == timestep - 1
                           ? betas_.const_data_ptr<float>()[timestep]
                           : 1 - alpha / alpha_next;
    const Tensor clean = predicted(model_output, sample, levels_[i]).clean;
    const float to_clean = std::sqrt(alpha_next) * beta / (1 - alpha);
    const float to_sample = std::sqrt(1 - beta) * (1 - alpha_next) / (1 - alpha);
    const Tensor mean = to_clean * clean + to_sample * sample;
    if (timestep == 0) {
      return mean;
    }
    const float least = (1 - alpha_next) / (1 - alpha) * beta;
    return mean + deviation(model_output, sample, beta, least) * noise.draw_like(sample);
  }

 private:
  /// The standard deviation of the step's noise: between those of β and of `least`, β̃ of Ho et al.
  /// 2020, equation 7.
  Tensor deviation(const Tensor& model_output, const Tensor& sample, float beta,
                   float least) const {
    const float bounded = std::max(least, 1e-20F);
    const std::string& type = config_.variance_type;
    if (type == "fixed_small" || type == "fixed_small_log") {
      return at::scalar_tensor(std::sqrt(bounded), sample.options());
    }
    if (type == "fixed_large") {
      return at::scalar_tensor(std::sqrt(beta), sample.options());
    }
    const std::int64_t channels = sample.size(1);
    if (model_output.size(1) != 2 * channels) {
      fail(Kind::corrupt,
           "variance_type {} (scheduler_config.json) with a model that answers {} channels to {}; "
           "expected twice as many, mean and variance",
           type, model_output.size(1), channels);
    }
    const Tensor answer = model_output.narrow(1, channels, channels).to(at::kFloat);
    if (type == "learned") {
      return answer.sqrt();
    }
    const Tensor part = (answer + 1) / 2;  // Nichol & Dhariwal 2021, equation 15
    return (0.5 * (part * std::log(beta) + (1 - part) * std::log(bounded))).exp();
  }

  Tensor betas_;
};

}  // namespace

std::unique_ptr<Scheduler> make_ddpm(const SchedulerConfig& config, int steps) {
  return std::make_unique<Ddpm>(config, steps, spaced_timesteps(config, steps), false);
}

std::unique_ptr<Scheduler> make_unclip(const SchedulerConfig& config, int steps) {
  if (steps < 2) {
    fail(Kind::invalid_argument, "{} step with unclip; expected at least 2", steps);
  }
  std::vector<double> timesteps;
  const double stride = (config.num_train_timesteps - 1.0) / (steps - 1);
  for (int i = steps; i-- > 0;) {
    timesteps.push_back(i * stride);
  }
  return std::make_unique<Ddpm>(config, steps, timesteps, true);
}

}  // namespace longhand
