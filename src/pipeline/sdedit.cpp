#include "pipeline/sdedit.h"

#include <cmath>

#include "core/error.h"

namespace longhand {
namespace {

/// The share of each latent's pixels that is painted, [1, 1, h, w].
at::Tensor mask_in_latents(const at::Tensor& mask, const at::Tensor& latents) {
  return at::adaptive_avg_pool2d(mask.to(latents.device()).unsqueeze(0).unsqueeze(0),
                                 {latents.size(2), latents.size(3)});
}

std::size_t start_of(const Scheduler& scheduler, double strength) {
  const std::size_t begin = scheduler.start_of_strength(strength);
  if (begin >= scheduler.timesteps().size()) {
    fail(Kind::invalid_argument,
         "strength {} leaves none of the steps to paint; take more steps, or a larger strength",
         strength);
  }
  return begin;
}

}  // namespace

int calls_of_edit(const Scheduler& scheduler, const PictureGuide& guide) {
  const std::size_t begin = start_of(scheduler, guide.strength);
  return static_cast<int>(scheduler.timesteps().size() - begin) * guide.repeats;
}

at::Tensor edited_latents(const std::function<std::unique_ptr<Scheduler>()>& new_scheduler,
                          const Denoise& denoise, const at::Tensor& latents,
                          const PictureGuide& guide, NoiseSource& noise,
                          const std::function<void(const at::Tensor& clean)>& on_step) {
  const bool masked = guide.mask.defined();
  const at::Tensor mask = masked ? mask_in_latents(guide.mask, latents) : at::Tensor();
  at::Tensor clean = latents;
  for (int repeat = 0; repeat < guide.repeats; ++repeat) {
    const auto scheduler = new_scheduler();
    const std::size_t steps = scheduler->timesteps().size();
    SamplingSpan span;
    span.begin = start_of(*scheduler, guide.strength);
    const at::Tensor epsilon = noise.draw_like(clean).contiguous(at::MemoryFormat::ChannelsLast);
    span.on_step = [&](std::size_t i, at::Tensor& sample) {
      at::Tensor predicted = scheduler->predicted_clean();
      if (masked) {
        const at::Tensor kept = i + 1 < steps ? scheduler->add_noise(clean, epsilon, i + 1) : clean;
        sample = (1 - mask) * kept + mask * sample;
        predicted = (1 - mask) * clean + mask * predicted;
      }
      on_step(predicted);
    };
    const at::Tensor start = masked && span.begin == 0
                                 ? epsilon * scheduler->init_noise_sigma()
                                 : scheduler->add_noise(clean, epsilon, span.begin);
    clean = run_sampler(*scheduler, denoise, start, noise, span);
  }
  return clean;
}

}  // namespace longhand
