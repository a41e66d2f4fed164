// DDIM inversion: from a clean sample to the noise from which a deterministic run paints it again
// (Song et al. 2021, section 4.3; Ramesh et al. 2022, section 3).
#pragma once

#include "diffusion/sampler.h"

namespace longhand {

struct InversionOptions {
  int calls = 10;  // of the model in a step, at most; at least 2
  /// A step is solved when the root mean square of what it misses is below this.
  double tolerance = 1e-4;
  std::function<void()> on_step;  // called after each step; may throw to stop
};

/// A clean sample, float32, and the scheduler of the run → the sample that the run's first step
/// starts from. From the last step to the first, where each starts is solved for by Anderson's
/// method of depth 1 on x ← x + (end - step(x)); its first update alone is the usual inversion,
/// which takes the noise predicted where a step ends for that where it starts. Of a step that does
/// not converge, the nearest is kept. The step must be a function of the model's answer and the
/// sample alone: DDIM with η = 0 and without bounds on the clean sample.
at::Tensor inverted(Scheduler& scheduler, const Denoise& denoise, const at::Tensor& clean,
                    const InversionOptions& options = {});

/// The schedule without clip_sample and thresholding, whose steps cannot be run backwards.
SchedulerConfig unbounded(const SchedulerConfig& config);

}  // namespace longhand
