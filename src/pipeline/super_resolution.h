// Super-resolution by diffusion: a picture → the same with more pixels, noise denoised beside the
// picture brought to their size (Ramesh et al. 2022, section 2.1; Nichol et al. 2021; the last
// stage of diffusers' UnCLIPPipeline).
#pragma once

#include <optional>

#include "diffusion/sampler.h"
#include "models/checkpoint.h"
#include "models/unet_2d.h"

namespace longhand {

/// What a checkpoint calls its parts. With `last` "", one network takes all steps.
struct SuperResolutionNames {
  const char* first;
  const char* last;  // the network of the last step
  const char* scheduler;
};

/// Pictures [n, 3, h, w] at another size, by PIL's bicubic filter, as the reference takes it.
at::Tensor resized(const at::Tensor& pictures, std::int64_t height, std::int64_t width);

/// Re-entrant.
class SuperResolution {
 public:
  static constexpr int steps = 7;  // the reference's default

  /// Throws not_found, corrupt, naming the file, where a network does not take a noisy picture and
  /// a given one.
  SuperResolution(const Checkpoint& checkpoint, const SuperResolutionNames& names,
                  const at::TensorOptions& placement);

  /// Pictures [n, 3, h, w], about -1…1 → [n, 3, height, width]. Draws the noise; calls on_step
  /// after each step.
  at::Tensor enlarged(const at::Tensor& pictures, std::int64_t height, std::int64_t width,
                      NoiseSource& noise, const OnStep& on_step) const;
  /// Bytes of its work beside the weights at its peak, for n pictures of that size.
  std::int64_t working_bytes(std::int64_t n, std::int64_t height, std::int64_t width) const;
  /// The side of the pictures that it was trained to make.
  int side() const { return first_.config().sample_size; }

 private:
  at::TensorOptions placement_;
  UNet2DModel first_;
  std::optional<UNet2DModel> last_;
  SchedulerConfig schedule_;
};

/// The run itself, with networks for all steps and for the last one: given [n, 3, height, width],
/// of the networks' type → [n, 3, height, width], float32.
at::Tensor super_resolved(const UNet2DModel& first, const UNet2DModel& last,
                          const SchedulerConfig& schedule, int steps, const at::Tensor& given,
                          NoiseSource& noise, const OnStep& on_step);

/// The file leaves unsaid which β UnCLIPScheduler has; another scheduler in its place must know.
SchedulerConfig unclip_schedule(nlohmann::json config);

}  // namespace longhand
