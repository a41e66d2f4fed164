// What Stable unCLIP adds to Stable Diffusion: it is told a picture's CLIP embedding, noised, and
// how much, as class labels (diffusers StableUnCLIPPipeline and StableUnCLIPImg2ImgPipeline).
#pragma once

#include <optional>

#include "models/image_normalizer.h"
#include "pipeline/image_encoder.h"
#include "pipeline/prior.h"

namespace longhand {

class ImageConditioner {
 public:
  /// The folder has an image encoder, or a prior; options.prior is another folder's prior, Karlo's.
  /// Throws invalid_argument where that one's embeddings are not this model's.
  ImageConditioner(const Checkpoint& checkpoint, const ModelOptions& options);

  /// [n, d] each. Throws invalid_argument where there is no encoder, and no prior.
  at::Tensor encode(const std::vector<Image>& images) const;
  at::Tensor imagine(const std::vector<std::string>& captions, const ConditioningOptions& options,
                     NoiseSource& noise) const;
  /// Of the prior. Throws invalid_argument where there is none.
  int prior_steps(const ConditioningOptions& options) const { return prior().steps(options); }
  /// Embeddings [n, d] → [n, 2d]: noised between the normalizer's statistics as `level` says, 0 to
  /// 999, and the level (diffusers noise_image_embeddings).
  at::Tensor class_labels(const at::Tensor& embeds, int level, NoiseSource& noise) const;

 private:
  const Prior& prior() const;
  void add_prior(const Checkpoint& source, const std::string& prefix, int embedding_dim);

  at::TensorOptions placement_;
  StableUnCLIPImageNormalizer normalizer_;
  SchedulerConfig noising_;
  std::optional<ImageEncoder> encoder_;
  std::optional<TextEncoder> prior_text_encoder_;
  std::optional<Prior> prior_;
};

}  // namespace longhand
