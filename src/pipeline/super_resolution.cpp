#include "pipeline/super_resolution.h"

#include "core/error.h"
#include "pipeline/memory.h"

namespace longhand {
namespace {

constexpr int colours = 3;

UNet2DModel network(const Checkpoint& checkpoint, const char* component,
                    const at::TensorOptions& placement) {
  auto unet = load_component<UNet2DModel, UNet2DConfig>(checkpoint, component, placement);
  if (unet.config().in_channels != 2 * colours) {
    fail(Kind::corrupt,
         "{}: {} takes {} channels; expected 6, a noisy picture's and those of the one to enlarge",
         checkpoint.configs().string(), component, unet.config().in_channels);
  }
  return unet;
}

}  // namespace

SchedulerConfig unclip_schedule(nlohmann::json config) {
  config.emplace("beta_schedule", "squaredcos_cap_v2");
  return SchedulerConfig::from_json(config);
}

at::Tensor resized(const at::Tensor& pictures, std::int64_t height, std::int64_t width) {
  return at::_upsample_bicubic2d_aa(pictures.to(at::kFloat).contiguous(), {height, width}, false);
}

at::Tensor super_resolved(const UNet2DModel& first, const UNet2DModel& last,
                          const SchedulerConfig& schedule, int steps, const at::Tensor& given,
                          NoiseSource& noise, const OnStep& on_step) {
  const auto scheduler = make_scheduler(schedule.class_name, schedule, steps);
  const double last_timestep = scheduler->timesteps().back();
  const Denoise denoise = [&](const at::Tensor& sample, double timestep) {
    const UNet2DModel& unet = timestep == last_timestep ? last : first;
    return unet.forward(at::cat({sample.to(given.options()), given}, 1),
                        at::full({given.size(0)}, timestep, sample.options()));
  };
  const at::Tensor start = noise.draw(given.sizes()) * scheduler->init_noise_sigma();
  return run_sampler(*scheduler, denoise, start, noise, counted(on_step));
}

SuperResolution::SuperResolution(const Checkpoint& checkpoint, const SuperResolutionNames& names,
                                 const at::TensorOptions& placement)
    : placement_(placement),
      first_(network(checkpoint, names.first, placement)),
      schedule_(unclip_schedule(checkpoint.config(names.scheduler))) {
  if (*names.last != '\0') {
    last_.emplace(network(checkpoint, names.last, placement));
    if (last_->config().sample_size != side()) {
      fail(Kind::corrupt, "{}: {} makes pictures of side {} and {} of {}; expected one side",
           checkpoint.configs().string(), names.first, side(), names.last,
           last_->config().sample_size);
    }
  }
}

at::Tensor SuperResolution::enlarged(const at::Tensor& pictures, std::int64_t height,
                                     std::int64_t width, NoiseSource& noise,
                                     const OnStep& on_step) const {
  const at::Tensor given = resized(pictures.clamp(-1, 1), height, width).to(placement_);
  return super_resolved(first_, last_ ? *last_ : first_, schedule_, steps, given, noise, on_step);
}

std::int64_t SuperResolution::working_bytes(std::int64_t n, std::int64_t height,
                                            std::int64_t width) const {
  return unet_bytes(first_.config(), n, height, width,
                    c10::typeMetaToScalarType(placement_.dtype()));
}

}  // namespace longhand
