#include "diffusion/prediction.h"

#include <cmath>

#include "core/error.h"

namespace longhand {

using at::Tensor;

Level Level::of_alpha(float alpha_cumprod) {
  return {std::sqrt(alpha_cumprod), std::sqrt(1 - alpha_cumprod)};
}

Level Level::of_sigma(float sigma) {
  const float signal = 1 / std::sqrt(sigma * sigma + 1);
  return {signal, sigma * signal};
}

float Level::lambda() const { return std::log(signal) - std::log(noise); }

Tensor mean_of(const Tensor& model_output, const Tensor& sample) {
  const bool with_variance =
      model_output.dim() == sample.dim() && model_output.size(1) == 2 * sample.size(1);
  const Tensor mean = with_variance ? model_output.narrow(1, 0, sample.size(1)) : model_output;
  if (mean.sizes() != sample.sizes()) {
    fail(Kind::internal,
         "the model answers {} values in {} dimensions to a sample of {} in {}; expected as many, "
         "or twice the channels",
         model_output.numel(), model_output.dim(), sample.numel(), sample.dim());
  }
  return mean.to(at::kFloat);
}

Tensor dynamic_threshold(const Tensor& clean, double ratio, double sample_max_value) {
  std::vector<std::int64_t> per_sample(static_cast<std::size_t>(clean.dim()), 1);
  per_sample[0] = clean.size(0);
  const Tensor bound =
      at::quantile(clean.flatten(1).abs(), ratio, 1).clamp(1, sample_max_value).view(per_sample);
  return clean.clamp(-bound, bound) / bound;
}

Prediction predict(const SchedulerConfig& config, const Tensor& model_output, const Tensor& sample,
                   Level level) {
  const auto [signal, noise] = level;
  const Tensor output = mean_of(model_output, sample);
  Prediction prediction;
  if (config.prediction_type == "epsilon") {
    prediction = {(sample - noise * output) / signal, output};
  } else if (config.prediction_type == "v_prediction") {
    // v belongs to samples of variance 1; others are brought there by their standard deviation.
    const float variance = signal * signal + noise * noise, deviation = std::sqrt(variance);
    prediction = {(signal * sample - noise * deviation * output) / variance,
                  (signal * deviation * output + noise * sample) / variance};
  } else {
    prediction = {output, (sample - signal * output) / noise};
  }
  if (config.thresholding) {
    prediction.clean = dynamic_threshold(prediction.clean, config.dynamic_thresholding_ratio,
                                         config.sample_max_value);
  } else if (config.clip_sample) {
    prediction.clean = prediction.clean.clamp(-config.clip_sample_range, config.clip_sample_range);
  }
  return prediction;
}

}  // namespace longhand
