#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "diffusion/multistep_scheduler.h"
#include "diffusion/schedulers.h"

namespace longhand {
namespace {

using at::Tensor;

class UniPc : public MultistepScheduler {
 public:
  UniPc(const SchedulerConfig& config, int steps)
      : MultistepScheduler(config, steps, config.use_karras_sigmas) {
    const float last = lambda(timesteps_.size()) - lambda(timesteps_.size() - 1);
    if (!config.lower_order_final && config.solver_order > 1 &&
        !(last > 0 && std::isfinite(last))) {
      fail(Kind::invalid_argument,
           "unipc without lower_order_final cannot end with final_sigmas_type {} "
           "(scheduler_config.json); set lower_order_final",
           config.final_sigmas_type);
    }
  }

  Tensor step(const Tensor& model_output, std::size_t i, const Tensor& sample,
              NoiseSource&) override {
    const Tensor clean_here = predicted(model_output, sample, levels_[i]).clean;
    const Tensor corrected = start_.defined() ? update(start_, i - 1, order_, clean_here) : sample;
    const int most =
        config_.lower_order_final ? static_cast<int>(timesteps_.size() - i) : config_.solver_order;
    order_ = std::min({config_.solver_order, most, remembered() + 1});
    remember(clean_here);
    start_ = corrected;
    return update(start_, i, order_, {});
  }

 private:
  /// From step `from` to the next level: the predictor UniP, or with the clean sample that was
  /// predicted there the corrector UniC (the reference's multistep_uni_p_bh_update and
  /// multistep_uni_c_bh_update).
  Tensor update(const Tensor& sample, std::size_t from, int order, const Tensor& clean_there) {
    const float step = -(lambda(from + 1) - lambda(from)), decay = std::expm1(step);
    const float signal = levels_[from + 1].signal;
    const Tensor straight =
        levels_[from + 1].noise / levels_[from].noise * sample - signal * decay * clean(0);
    std::vector<float> ratios;
    std::vector<Tensor> slopes;
    for (int back = 1; back < order; ++back) {
      ratios.push_back((lambda(from - static_cast<std::size_t>(back)) - lambda(from)) / -step);
      slopes.push_back((clean(back) - clean(0)) / ratios.back());
    }
    if (clean_there.defined()) {
      ratios.push_back(1);
      slopes.push_back(clean_there - clean(0));
    }
    if (slopes.empty()) {
      return straight;
    }
    const std::vector<float> weights = weights_of(ratios, step);
    Tensor sum = weights[0] * slopes[0];
    for (std::size_t k = 1; k < slopes.size(); ++k) {
      sum += weights[k] * slopes[k];
    }
    return straight - signal * (config_.solver_type == "bh1" ? step : decay) * sum;
  }

  /// How much each slope counts: ρ of R ρ = b in Zhao et al. 2023; ½ for a single one.
  std::vector<float> weights_of(const std::vector<float>& ratios, float step) const {
    const auto count = static_cast<std::int64_t>(ratios.size());
    if (count == 1) {
      return {0.5F};
    }
    const float decay = std::expm1(step), scale = config_.solver_type == "bh1" ? step : decay;
    const Tensor matrix = at::empty({count, count}, at::kFloat);
    const Tensor right = at::empty({count}, at::kFloat);
    float phi = decay / step - 1, factorial = 1;
    for (std::int64_t power = 0; power < count; ++power) {
      for (std::int64_t k = 0; k < count; ++k) {
        matrix.mutable_data_ptr<float>()[power * count + k] =
            std::pow(ratios[static_cast<std::size_t>(k)], static_cast<float>(power));
      }
      right.mutable_data_ptr<float>()[power] = phi * factorial / scale;
      factorial *= static_cast<float>(power + 2);
      phi = phi / step - 1 / factorial;
    }
    const Tensor weights = at::linalg_solve(matrix, right);
    return {weights.const_data_ptr<float>(), weights.const_data_ptr<float>() + count};
  }

  Tensor start_;  // where the step began that was predicted last
  int order_ = 1;
};

}  // namespace

std::unique_ptr<Scheduler> make_unipc(const SchedulerConfig& config, int steps) {
  return std::make_unique<UniPc>(config, steps);
}

}  // namespace longhand
