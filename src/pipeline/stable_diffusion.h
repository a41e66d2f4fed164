// Latent diffusion from text: Stable Diffusion 1 and 2, XL and its refiner, Turbo and LCM, and
// Stable unCLIP, which takes a picture's CLIP embedding besides, a picture's own or one that a
// prior imagines for the text (Rombach et al. 2022; Podell et al. 2023; diffusers' pipelines of
// these names). The embedded model is an XL that was trained to take, in place of the text's
// embedding and of its start mark's state, a picture's in the same space (train/painter.cpp).
#pragma once

#include <optional>

#include "models/unet_2d_condition.h"
#include "pipeline/autoencoders.h"
#include "pipeline/image_conditioner.h"
#include "pipeline/joint_prior.h"
#include "pipeline/text_encoder.h"

namespace longhand {

class StableDiffusion : public DiffusionModel {
 public:
  StableDiffusion(const Checkpoint& checkpoint, const ModelOptions& options);
  /// As its configs alone tell: before any weights are read.
  static PaintableSizes paintable_sizes(const Checkpoint& checkpoint, const ModelOptions& options);

  Denoise denoiser(const Subject& subject, const ConditioningOptions& options,
                   NoiseSource& noise) const override;
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
  bool embeds() const override { return joint_encoder_.has_value(); }
  int prior_steps(const Subject& subject, const ConditioningOptions& options) const override;
  const SuperResolution* enlarger() const override { return enlarger_ ? &*enlarger_ : nullptr; }
  const SchedulerConfig& schedule() const override { return schedule_; }
  Size own_size() const override;
  int max_tokens() const override;
  std::shared_ptr<const ClipTokenizer> tokenizer() const override;
  int default_steps() const override;
  double default_guidance() const override;

 private:
  struct Text {
    at::Tensor context, pooled;  // [n, length, d]; [n, d], undefined but for XL
  };
  StableDiffusion(const Checkpoint& checkpoint, const ModelOptions& options,
                  std::map<std::string, Weights> weights);
  bool is_xl() const { return unet_.config().addition_embed_type == "text_time"; }
  bool guides(const ConditioningOptions& options) const;
  const JointPrior& prior() const;
  /// The embeddings [n, d] that take the place of the text's; undefined: none does.
  at::Tensor pictured(const Subject& subject, const ConditioningOptions& options,
                      NoiseSource& noise) const;
  Text encode(const std::vector<std::string>& captions, const ReadingOptions& reading) const;
  std::pair<Text, Text> texts(const Subject& subject, const ReadingOptions& reading,
                              bool guides) const;
  at::Tensor time_ids(const ConditioningOptions& options, double score, std::int64_t n) const;
  UNetCondition condition(const Subject& subject, const ConditioningOptions& options, bool guides,
                          NoiseSource& noise) const;

  std::string class_name_;
  bool zeros_for_empty_, scores_aesthetics_;
  std::optional<TextEncoder> text_encoder_, text_encoder_2_;
  UNet2DConditionModel unet_;
  std::shared_ptr<const Autoencoder> autoencoder_, previewer_;
  std::optional<ImageConditioner> image_;      // Stable unCLIP's
  std::optional<ImageEncoder> joint_encoder_;  // the embedded model's, beside text_encoder_2
  std::optional<JointPrior> prior_;            // from text to what that one gives
  std::optional<SuperResolution> enlarger_;    // the embedded model's
  SchedulerConfig schedule_;
};

}  // namespace longhand
