#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "diffusion/multistep_scheduler.h"
#include "diffusion/schedulers.h"

namespace longhand {
namespace {

using at::Tensor;

class DpmSolver : public MultistepScheduler {
 public:
  DpmSolver(const SchedulerConfig& config, int steps)
      : MultistepScheduler(config, steps,
                           config.use_karras_sigmas && config.beta_schedule != "squaredcos_cap_v2"),
        stochastic_(config.algorithm_type == "sde-dpmsolver++") {
    if (stochastic_ && config.solver_order == 3) {
      fail(Kind::invalid_argument,
           "sde-dpmsolver++ with solver_order 3 is not supported (scheduler_config.json); expected "
           "1 or 2");
    }
  }

  Tensor step(const Tensor& model_output, std::size_t i, const Tensor& sample,
              NoiseSource& noise) override {
    const int order = order_at(i);
    remember(predicted(model_output, sample, levels_[i]).clean);
    const auto [signal, amount] = levels_[i + 1];
    const float step = lambda(i + 1) - lambda(i);
    const float way = stochastic_ ? 2 * step : step, decay = std::exp(-way) - 1;
    const float shrink = amount / levels_[i].noise * (stochastic_ ? std::exp(-step) : 1);
    Tensor next = shrink * sample - signal * decay * clean(0);
    if (order > 1) {
      next += higher_order(i, order, step, way, decay) * signal;
    }
    return stochastic_ ? next + amount * std::sqrt(-decay) * noise.draw_like(sample) : next;
  }

 private:
  /// The order of the step, which is lower where there is no history, and at the end where a high
  /// one is unstable.
  int order_at(std::size_t i) const {
    const std::size_t count = timesteps_.size();
    const bool few = config_.lower_order_final && count < 15;
    const bool last =
        i + 1 == count && (config_.euler_at_final || few || config_.final_sigmas_type == "zero");
    const int most = last ? 1 : few && i + 2 == count ? 2 : 3;
    return std::min({config_.solver_order, remembered() + 1, most});
  }

  /// What the first and second derivatives of the clean sample add, over λ (the reference's
  /// multistep_dpm_solver_second_order_update and its third-order one). `decay` is e^-way - 1.
  Tensor higher_order(std::size_t i, int order, float step, float way, float decay) const {
    const float ratio = (lambda(i) - lambda(i - 1)) / step;
    const Tensor slope = (clean(0) - clean(1)) / ratio;
    if (order == 2 && config_.solver_type == "midpoint") {
      return -0.5F * decay * slope;
    }
    if (order == 2) {
      return (decay / way + 1) * slope;
    }
    const float earlier = (lambda(i - 1) - lambda(i - 2)) / step;
    const Tensor curve = (slope - (clean(1) - clean(2)) / earlier) / (ratio + earlier);
    return (decay / way + 1) * (slope + ratio * curve) -
           ((decay + way) / (way * way) - 0.5F) * curve;
  }

  bool stochastic_;
};

}  // namespace

std::unique_ptr<Scheduler> make_dpm_solver(const SchedulerConfig& config, int steps) {
  return std::make_unique<DpmSolver>(config, steps);
}

}  // namespace longhand
