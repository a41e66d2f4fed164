// Kandinsky 2.2: a prior from text to a picture's CLIP embedding, and latent diffusion from that
// alone, decoded by MoVQ (diffusers KandinskyV22PriorPipeline and KandinskyV22Pipeline; Razzhigaev
// et al. 2023).
#pragma once

#include "models/unet_2d_condition.h"
#include "pipeline/autoencoders.h"
#include "pipeline/image_encoder.h"
#include "pipeline/prior.h"

namespace longhand {

class Kandinsky : public DiffusionModel {
 public:
  /// The prior is a folder of its own (options.prior; else beside this one, under its name with
  /// "prior" for "decoder"; else in the hub's cache), or this folder's components "prior_…". Throws
  /// not_found, with the command that gets it.
  Kandinsky(const Checkpoint& checkpoint, const ModelOptions& options);
  /// As its configs alone tell: before any weights are read.
  static PaintableSizes paintable_sizes(const Checkpoint& checkpoint, const ModelOptions& options);

  /// Without a negative prompt, a picture of zeros stands for none. With one, the prior imagines it
  /// beside each caption, and drives both away from it.
  Denoise denoiser(const Subject& subject, const ConditioningOptions& options,
                   NoiseSource& noise) const override;
  /// Sides are multiples of the autoencoder's factor squared; the reference paints the next larger.
  std::vector<std::int64_t> latent_shape(std::int64_t n, int width, int height) const override;
  std::int64_t working_bytes(std::int64_t n, const ConditioningOptions& options) const override;
  at::Tensor latents_of(const at::Tensor& pictures, NoiseSource& noise) const override;
  at::Tensor pictures_of(const at::Tensor& latents, NoiseSource& noise,
                         const OnStep& on_step) const override;
  at::Tensor previews_of(const at::Tensor& latents) const override;
  at::Tensor image_embeds_of(const std::vector<Image>& images) const override;
  at::Tensor imagined_embeds(const Subject& subject, const ConditioningOptions& options,
                             NoiseSource& noise) const override;
  at::Tensor text_embeds_of(const std::vector<std::string>& texts) const override;
  bool embeds() const override { return true; }
  int prior_steps(const Subject& subject, const ConditioningOptions& options) const override;
  const SchedulerConfig& schedule() const override { return schedule_; }
  Size own_size() const override;
  int max_tokens() const override { return text_encoder_.config().max_position_embeddings; }
  std::shared_ptr<const ClipTokenizer> tokenizer() const override {
    return text_encoder_.tokenizer();
  }
  int default_steps() const override { return 100; }
  double default_guidance() const override { return 4; }

 private:
  /// Where the prior's components lie, and what their names begin with there.
  struct PriorSource {
    Checkpoint checkpoint;
    std::string prefix;
  };
  /// [n, d] each; `without` is undefined where a picture of zeros stands for none.
  struct Embeds {
    at::Tensor with, without;
  };
  Kandinsky(const Checkpoint& checkpoint, const ModelOptions& options, const PriorSource& prior);
  static PriorSource prior_source(const Checkpoint& checkpoint, const ModelOptions& options);
  void check(const Checkpoint& checkpoint) const;
  Embeds embeds_of(const Subject& subject, const ConditioningOptions& options,
                   NoiseSource& noise) const;

  UNet2DConditionModel unet_;
  std::shared_ptr<const Autoencoder> autoencoder_, previewer_;
  SchedulerConfig schedule_;
  TextEncoder text_encoder_;
  ImageEncoder image_encoder_;
  Prior prior_;
};

}  // namespace longhand
