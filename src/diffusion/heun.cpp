#include "core/error.h"
#include "diffusion/schedulers.h"
#include "diffusion/sigma_scheduler.h"

namespace longhand {
namespace {

class Heun : public SigmaScheduler {
 public:
  Heun(const SchedulerConfig& config, int steps) : SigmaScheduler(config, steps) {
    calls_per_step_ = 2;
    const std::vector<double> timesteps = std::move(timesteps_);
    const std::vector<Level> levels = std::move(levels_);
    timesteps_ = {timesteps[0]};
    levels_ = {levels[0]};
    for (std::size_t i = 1; i < timesteps.size(); ++i) {
      timesteps_.insert(timesteps_.end(), 2, timesteps[i]);
      levels_.insert(levels_.end(), 2, levels[i]);
    }
    levels_.push_back(levels.back());
  }

  at::Tensor step(const at::Tensor& model_output, std::size_t i, const at::Tensor& sample,
                  NoiseSource&) override {
    const at::Tensor clean = predicted(model_output, sample, levels_[i]).clean;
    const at::Tensor derivative = (sample - clean) / levels_[i].noise;
    if (i % 2 == 0) {  // Euler's step
      start_ = sample;
      derivative_ = derivative;
      return sample + derivative * (levels_[i + 1].noise - levels_[i].noise);
    }
    if (!start_.defined()) {
      fail(Kind::internal, "a run of heun starts at call {}; expected an even one", i);
    }
    // The same step with the mean of the derivatives at its two ends.
    return start_ + (derivative_ + derivative) / 2 * (levels_[i].noise - levels_[i - 1].noise);
  }

 private:
  at::Tensor start_, derivative_;
};

}  // namespace

std::unique_ptr<Scheduler> make_heun(const SchedulerConfig& config, int steps) {
  return std::make_unique<Heun>(config, steps);
}

}  // namespace longhand
