#include "diffusion/inversion.h"

namespace longhand {
namespace {

double root_mean_square(const at::Tensor& x) {
  return x.to(at::kDouble).square().mean().sqrt().item<double>();
}

/// The step of Anderson's method: `missed` less what the last change of x has shown of it.
at::Tensor accelerated(const at::Tensor& missed, const at::Tensor& last_missed,
                       const at::Tensor& change) {
  const at::Tensor shown = missed - last_missed;
  const double length = shown.square().sum().item<double>();
  if (length == 0) {
    return missed;
  }
  const double part = (missed * shown).sum().item<double>() / length;
  return missed - part * (change + shown);
}

/// Where step i starts that ends in `end`.
at::Tensor start_of_step(Scheduler& scheduler, std::size_t i, const Denoise& denoise,
                         const at::Tensor& end, const InversionOptions& options) {
  NoiseSource none({});
  at::Tensor x = end, nearest = end, last_missed, change;
  double least = std::numeric_limits<double>::infinity();
  for (int call = 0; call < options.calls; ++call) {
    const at::Tensor answer = denoise(scheduler.scale_model_input(x, i), scheduler.timesteps()[i]);
    const at::Tensor missed = end - scheduler.step(answer, i, x, none);
    const double distance = root_mean_square(missed);
    if (distance < least) {
      least = distance;
      nearest = x;
    }
    if (distance < options.tolerance) {
      break;
    }
    change = call == 0 ? missed : accelerated(missed, last_missed, change);
    last_missed = missed;
    x = x + change;
  }
  return nearest;
}

}  // namespace

at::Tensor inverted(Scheduler& scheduler, const Denoise& denoise, const at::Tensor& clean,
                    const InversionOptions& options) {
  at::Tensor sample = clean;
  for (std::size_t i = scheduler.timesteps().size(); i-- > 0;) {
    sample = start_of_step(scheduler, i, denoise, sample, options);
    if (options.on_step) {
      options.on_step();
    }
  }
  return sample;
}

SchedulerConfig unbounded(const SchedulerConfig& config) {
  nlohmann::json file = config.file;
  file["clip_sample"] = false;
  file["thresholding"] = false;
  return SchedulerConfig::from_json(file);
}

}  // namespace longhand
