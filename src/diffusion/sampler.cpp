#include "diffusion/sampler.h"

namespace longhand {

namespace {

/// [n, 1, …]: of each row of the batch.
at::Tensor deviation(const at::Tensor& x) {
  const at::Tensor rows = x.flatten(1).std(1);
  std::vector<std::int64_t> shape(static_cast<std::size_t>(x.dim()), 1);
  shape[0] = x.size(0);
  return rows.view(shape);
}

}  // namespace

at::Tensor guided(const at::Tensor& both, double scale, std::int64_t channels, double rescale) {
  const std::int64_t count = both.size(0) / 2;
  const at::Tensor without = both.narrow(0, 0, count).narrow(1, 0, channels).to(at::kFloat);
  const at::Tensor with = both.narrow(0, count, count).to(at::kFloat);
  const at::Tensor told = with.narrow(1, 0, channels);
  at::Tensor mixed = without + scale * (told - without);
  if (rescale > 0) {
    mixed = mixed * (1 - rescale + rescale * deviation(told) / deviation(mixed));
  }
  const std::int64_t beyond = both.size(1) - channels;
  return beyond == 0 ? mixed : at::cat({mixed, with.narrow(1, channels, beyond)}, 1);
}

Denoise guided_denoise(Network network, double scale, const at::TensorOptions& placement,
                       double rescale) {
  return [network = std::move(network), scale, placement, rescale](const at::Tensor& sample,
                                                                   double timestep) {
    const bool guides = scale > 1;
    const at::Tensor one = sample.to(placement);
    const at::Tensor input = guides ? at::cat({one, one}) : one;
    const at::Tensor answer =
        network(input, at::full({input.size(0)}, timestep, input.options().dtype(at::kFloat)));
    return guides ? guided(answer, scale, sample.size(1), rescale) : answer;
  };
}

SamplingSpan counted(OnStep on_step) {
  SamplingSpan span;
  if (on_step) {
    span.on_step = [on_step = std::move(on_step)](std::size_t, at::Tensor&) { on_step(); };
  }
  return span;
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
