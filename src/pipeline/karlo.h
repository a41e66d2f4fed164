// Karlo, unCLIP as its paper describes it: a prior from text to the picture's CLIP embedding, a
// decoder to 64×64 pixels, and super-resolution to 256×256 (Ramesh et al. 2022, section 2;
// diffusers UnCLIPPipeline and UnCLIPImageVariationPipeline). A latent is the decoder's small
// picture.
#pragma once

#include <optional>

#include "models/unclip_text_proj.h"
#include "models/unet_2d_condition.h"
#include "pipeline/image_encoder.h"
#include "pipeline/prior.h"
#include "pipeline/super_resolution.h"

namespace longhand {

class Karlo : public DiffusionModel {
 public:
  /// The prior is the folder's own, or that of options.prior, a folder of the same model; the
  /// folder for variations has none, and that for text has no image encoder.
  Karlo(const Checkpoint& checkpoint, const ModelOptions& options);
  /// As its configs alone tell: before any weights are read.
  static PaintableSizes paintable_sizes(const Checkpoint& checkpoint, const ModelOptions& options);

  /// A negative prompt takes the place of the empty text.
  Denoise denoiser(const Subject& subject, const ConditioningOptions& options,
                   NoiseSource& noise) const override;
  std::vector<std::int64_t> latent_shape(std::int64_t n, int width, int height) const override;
  std::int64_t working_bytes(std::int64_t n, const ConditioningOptions& options) const override;
  at::Tensor latents_of(const at::Tensor& pictures, NoiseSource& noise) const override;
  /// Draws the noise of super-resolution.
  at::Tensor pictures_of(const at::Tensor& latents, NoiseSource& noise,
                         const OnStep& on_step) const override;
  at::Tensor previews_of(const at::Tensor& latents) const override { return latents; }
  at::Tensor image_embeds_of(const std::vector<Image>& images) const override;
  at::Tensor imagined_embeds(const Subject& subject, const ConditioningOptions& options,
                             NoiseSource& noise) const override;
  at::Tensor text_embeds_of(const std::vector<std::string>& texts) const override;
  bool embeds() const override { return image_encoder_.has_value(); }
  int prior_steps(const Subject& subject, const ConditioningOptions& options) const override;
  int super_res_steps() const override { return SuperResolution::steps; }
  const SchedulerConfig& schedule() const override { return schedule_; }
  Size own_size() const override;
  int max_tokens() const override { return text_encoder_.config().max_position_embeddings; }
  std::shared_ptr<const ClipTokenizer> tokenizer() const override {
    return text_encoder_.tokenizer();
  }
  int default_steps() const override { return 25; }
  double default_guidance() const override { return 8; }

 private:
  void check(const Checkpoint& checkpoint) const;
  const Prior& prior() const;
  at::Tensor imagined(const PriorText& with, const PriorText& without,
                      const ConditioningOptions& options, NoiseSource& noise) const;

  TextEncoder text_encoder_;
  UnCLIPTextProjModel text_proj_;
  UNet2DConditionModel decoder_;
  SuperResolution super_resolution_;
  SchedulerConfig schedule_;
  std::optional<Prior> prior_;
  std::optional<ImageEncoder> image_encoder_;
};

}  // namespace longhand
