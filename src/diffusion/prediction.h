// From a model's answer to what it says of the clean sample and of the noise.
#pragma once

#include "diffusion/scheduler_config.h"
#include "nn/torch.h"

namespace longhand {

/// A noise level: a sample of it is signal · clean + noise · ε. Scalars are float32 as in the
/// reference: where near numbers are subtracted, its rounding shows.
struct Level {
  float signal, noise;

  /// √ᾱ and √(1-ᾱ): samples of variance 1.
  static Level of_alpha(float alpha_cumprod);
  /// Samples of variance 1 whose noise is σ times the signal.
  static Level of_sigma(float sigma);
  /// Half the logarithm of the signal-to-noise ratio, λ of Lu et al. 2022; ∞ without noise.
  float lambda() const;
};

struct Prediction {
  at::Tensor clean, epsilon;  // of the sample's shape, float32
};

/// A model's answer without the variance that it may give as a second half of the channels:
/// float32, of the sample's shape. Throws internal for another shape.
at::Tensor mean_of(const at::Tensor& model_output, const at::Tensor& sample);

/// What the answer to a sample [batch, channels, …] of this level says, by config.prediction_type:
/// ε; v, which is √ᾱ ε - √(1-ᾱ) clean (Salimans & Ho 2022); or the clean sample. `clean` is
/// bounded by config.thresholding or clip_sample; ε is that of before.
Prediction predict(const SchedulerConfig& config, const at::Tensor& model_output,
                   const at::Tensor& sample, Level level);

/// Dynamic thresholding (Saharia et al. 2022, section 2.3): each sample of the batch is clamped to
/// its own quantile of absolute values, at least 1 and at most sample_max_value, and divided by it.
at::Tensor dynamic_threshold(const at::Tensor& clean, double ratio, double sample_max_value);

}  // namespace longhand
