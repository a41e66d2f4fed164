// What DPM-Solver++ and UniPC have in common: samples keep variance 1, time is λ, and what the
// model said at earlier steps is used again.
#pragma once

#include <deque>

#include "diffusion/scheduler.h"

namespace longhand {

class MultistepScheduler : public Scheduler {
 protected:
  /// Timesteps of spaced sigmas are rounded or cut to whole ones. Throws invalid_argument where
  /// there is none left.
  MultistepScheduler(const SchedulerConfig& config, int steps, bool rounds_timesteps);

  /// Takes in what was predicted at a step.
  void remember(const at::Tensor& clean);
  /// The clean sample as it was predicted `back` steps before the latest.
  const at::Tensor& clean(int back) const { return history_[static_cast<std::size_t>(back)]; }
  int remembered() const { return static_cast<int>(history_.size()); }
  float lambda(std::size_t i) const { return levels_[i].lambda(); }

 private:
  std::deque<at::Tensor> history_;  // at most solver_order, the latest first
};

}  // namespace longhand
