// Pictures from nothing but noise, in pixels (Ho et al. 2020; diffusers DDPMPipeline): the models
// that SDEdit edits with (Meng et al. 2022, section 4). A latent is the picture itself.
#pragma once

#include "models/unet_2d.h"
#include "pipeline/diffusion_model.h"

namespace longhand {

class Ddpm : public DiffusionModel {
 public:
  Ddpm(const Checkpoint& checkpoint, const ModelOptions& options);
  /// As its configs alone tell: before any weights are read.
  static PaintableSizes paintable_sizes(const Checkpoint& checkpoint, const ModelOptions& options);

  /// Throws invalid_argument for words, pictures' embeddings and guidance: it takes none of them.
  Denoise denoiser(const Subject& subject, const ConditioningOptions& options,
                   NoiseSource& noise) const override;
  std::vector<std::int64_t> latent_shape(std::int64_t n, int width, int height) const override;
  std::int64_t working_bytes(std::int64_t n, const ConditioningOptions& options) const override;
  at::Tensor latents_of(const at::Tensor& pictures, NoiseSource&) const override {
    return pictures;
  }
  at::Tensor pictures_of(const at::Tensor& latents, NoiseSource&, const OnStep&) const override {
    return latents;
  }
  at::Tensor previews_of(const at::Tensor& latents) const override { return latents; }
  const SchedulerConfig& schedule() const override { return schedule_; }
  Size own_size() const override;
  int max_tokens() const override { return 0; }
  int default_steps() const override { return schedule_.num_train_timesteps; }
  double default_guidance() const override { return 1; }

 private:
  UNet2DModel unet_;
  SchedulerConfig schedule_;
};

}  // namespace longhand
