#include <cmath>

#include "diffusion/schedulers.h"
#include "diffusion/sigma_scheduler.h"
#include "diffusion/timesteps.h"

namespace longhand {
namespace {

class Euler : public SigmaScheduler {
 public:
  Euler(const SchedulerConfig& config, int steps, bool ancestral)
      : SigmaScheduler(config, steps), ancestral_(ancestral) {}

  at::Tensor step(const at::Tensor& model_output, std::size_t i, const at::Tensor& sample,
                  NoiseSource& noise) override {
    const float from = levels_[i].noise, to = levels_[i + 1].noise;
    const at::Tensor clean = predicted(model_output, sample, levels_[i]).clean;
    const at::Tensor derivative = (sample - clean) / from;
    if (!ancestral_) {
      return sample + derivative * (to - from);
    }
    // Noise of variance `up²` makes up for going down further than `to`.
    const float up = std::sqrt(to * to * (from * from - to * to) / (from * from));
    const float down = std::sqrt(to * to - up * up);
    return sample + derivative * (down - from) + up * noise.draw_like(sample);
  }

 private:
  bool ancestral_;
};

}  // namespace

std::unique_ptr<Scheduler> make_euler(const SchedulerConfig& config, int steps) {
  return std::make_unique<Euler>(config, steps, false);
}

std::unique_ptr<Scheduler> make_euler_ancestral(const SchedulerConfig& config, int steps) {
  return std::make_unique<Euler>(config, steps, true);
}

}  // namespace longhand
