#include <cmath>
#include <deque>

#include "diffusion/alpha_scheduler.h"
#include "diffusion/schedulers.h"
#include "diffusion/timesteps.h"

namespace longhand {
namespace {

using at::Tensor;

/// The second timestep of a run is visited twice.
std::vector<double> doubled(std::vector<double> timesteps) {
  if (timesteps.size() > 1) {
    timesteps.insert(timesteps.begin() + 1, timesteps[1]);
  }
  return timesteps;
}

class Pndm : public AlphaScheduler {
 public:
  Pndm(const SchedulerConfig& config, int steps)
      : AlphaScheduler(config, steps, doubled(spaced_timesteps(config, steps))) {}

  Tensor step(const Tensor& model_output, std::size_t i, const Tensor& sample,
              NoiseSource&) override {
    const bool again = calls_++ == 1;  // the first step, with what the model says of its outcome
    const std::int64_t timestep = timestep_at(i);
    if (again) {
      const Tensor mean = (mean_of(model_output, sample) + outputs_.back()) / 2;
      return stepped(mean, first_sample_, timestep + stride(), timestep);
    }
    if (outputs_.empty()) {
      first_sample_ = sample;
    }
    outputs_.push_back(mean_of(model_output, sample));
    if (outputs_.size() > 4) {
      outputs_.pop_front();
    }
    return stepped(extrapolated(), sample, timestep, timestep - stride());
  }

 private:
  /// Adams–Bashforth over the latest outputs: Liu et al. 2022, equation 12.
  Tensor extrapolated() const {
    const auto output = [&](std::size_t back) { return outputs_[outputs_.size() - back]; };
    switch (outputs_.size()) {
      case 1:
        return output(1);
      case 2:
        return (3 * output(1) - output(2)) / 2;
      case 3:
        return (23 * output(1) - 16 * output(2) + 5 * output(3)) / 12;
      default:
        return (55 * output(1) - 59 * output(2) + 37 * output(3) - 9 * output(4)) / 24;
    }
  }

  /// Liu et al. 2022, equation 9, as the reference has it.
  Tensor stepped(const Tensor& output, const Tensor& sample, std::int64_t from, std::int64_t to) {
    const float alpha = alpha_at(from), next = alpha_at(to);
    const Tensor epsilon = predicted(output, sample, Level::of_alpha(alpha)).epsilon;
    const float divisor = alpha * std::sqrt(1 - next) + std::sqrt(alpha * (1 - alpha) * next);
    return std::sqrt(next / alpha) * sample - (next - alpha) * epsilon / divisor;
  }

  int calls_ = 0;
  Tensor first_sample_;
  std::deque<Tensor> outputs_;  // of the latest four timesteps
};

}  // namespace

std::unique_ptr<Scheduler> make_pndm(const SchedulerConfig& config, int steps) {
  return std::make_unique<Pndm>(config, steps);
}

}  // namespace longhand
