#include <algorithm>
#include <cmath>

#include "diffusion/alpha_scheduler.h"
#include "diffusion/schedulers.h"
#include "diffusion/timesteps.h"

namespace longhand {
namespace {

class Ddim : public AlphaScheduler {
 public:
  Ddim(const SchedulerConfig& config, int steps)
      : AlphaScheduler(config, steps, spaced_timesteps(config, steps)) {}

  at::Tensor step(const at::Tensor& model_output, std::size_t i, const at::Tensor& sample,
                  NoiseSource& noise) override {
    const std::int64_t timestep = timestep_at(i);
    const float alpha = alpha_at(timestep), next = alpha_at(timestep - stride());
    const float variance = (1 - next) / (1 - alpha) * (1 - alpha / next);
    const float deviation = static_cast<float>(config_.eta) * std::sqrt(variance);
    const auto [clean, epsilon] = predicted(model_output, sample, levels_[i]);
    const at::Tensor mean = std::sqrt(next) * clean +
                            std::sqrt(std::max(0.0F, 1 - next - deviation * deviation)) * epsilon;
    return config_.eta > 0 ? mean + deviation * noise.draw_like(sample) : mean;
  }
};

}  // namespace

std::unique_ptr<Scheduler> make_ddim(const SchedulerConfig& config, int steps) {
  return std::make_unique<Ddim>(config, steps);
}

}  // namespace longhand
