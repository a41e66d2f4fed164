#include "diffusion/sampler.h"

namespace longhand {

at::Tensor guided(const at::Tensor& both, double scale, std::int64_t channels) {
  const std::int64_t count = both.size(0) / 2;
  const at::Tensor without = both.narrow(0, 0, count).narrow(1, 0, channels).to(at::kFloat);
  const at::Tensor with = both.narrow(0, count, count).to(at::kFloat);
  const at::Tensor mixed = without + scale * (with.narrow(1, 0, channels) - without);
  const std::int64_t beyond = both.size(1) - channels;
  return beyond == 0 ? mixed : at::cat({mixed, with.narrow(1, channels, beyond)}, 1);
}

at::Tensor run_sampler(Scheduler& scheduler, const Denoise& denoise, at::Tensor sample,
                       NoiseSource& noise, const SamplingSpan& span) {
  const std::size_t end = std::min(span.end, scheduler.timesteps().size());
  for (std::size_t i = span.begin; i < end; ++i) {
    const at::Tensor answer =
        denoise(scheduler.scale_model_input(sample, i), scheduler.timesteps()[i]);
    sample = scheduler.step(answer, i, sample, noise);
    if (span.on_step) {
      span.on_step(i, sample);
    }
  }
  return sample;
}

}  // namespace longhand
