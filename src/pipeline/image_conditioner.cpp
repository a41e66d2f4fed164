#include "pipeline/image_conditioner.h"

#include "core/error.h"
#include "diffusion/noise_schedule.h"
#include "models/time_embedding.h"

namespace longhand {

ImageConditioner::ImageConditioner(const Checkpoint& checkpoint, const ModelOptions& options)
    : placement_(options.placement()),
      normalizer_(load_component<StableUnCLIPImageNormalizer, StableUnCLIPImageNormalizerConfig>(
          checkpoint, "image_normalizer", placement_)),
      noising_(SchedulerConfig::from_json(checkpoint.config("image_noising_scheduler"))) {
  if (checkpoint.has("image_encoder")) {
    encoder_.emplace(checkpoint, "image_encoder", "feature_extractor", placement_);
  }
  const int embedding_dim =
      StableUnCLIPImageNormalizerConfig::from_json(checkpoint.config("image_normalizer"))
          .embedding_dim;
  if (!options.prior.empty()) {
    add_prior(Checkpoint(options.prior), "", embedding_dim);
  } else if (checkpoint.has("prior")) {
    add_prior(checkpoint, "prior_", embedding_dim);
  }
}

/// `prefix`: what the names of the prior's text encoder and tokenizer begin with.
void ImageConditioner::add_prior(const Checkpoint& source, const std::string& prefix,
                                 int embedding_dim) {
  prior_text_encoder_.emplace(
      load_text_encoder(source, prefix + "text_encoder", prefix + "tokenizer", placement_));
  prior_.emplace(source, "prior", "prior_scheduler", *prior_text_encoder_, placement_);
  if (prior_->embedding_dim() != embedding_dim) {
    fail(Kind::invalid_argument,
         "{}: the prior imagines embeddings of {} numbers and this model reads {}; take "
         "stable-unclip-small with Karlo's",
         source.configs().string(), prior_->embedding_dim(), embedding_dim);
  }
}

at::Tensor ImageConditioner::encode(const std::vector<Image>& images) const {
  if (!encoder_) {
    fail(Kind::invalid_argument,
         "this model has no image encoder: it paints from text (longhand draw); for pictures take "
         "stable-unclip");
  }
  return encoder_->encode(images);
}

const Prior& ImageConditioner::prior() const {
  if (!prior_) {
    fail(Kind::invalid_argument,
         "Stable unCLIP paints from a picture (longhand vary); to paint from text, give karlo's "
         "folder to --prior and take stable-unclip-small");
  }
  return *prior_;
}

at::Tensor ImageConditioner::imagine(const std::vector<std::string>& captions,
                                     const ConditioningOptions& options, NoiseSource& noise) const {
  return prior().imagine(*prior_text_encoder_, captions, "", options, noise);
}

at::Tensor ImageConditioner::class_labels(const at::Tensor& embeds, int level,
                                          NoiseSource& noise) const {
  const at::Tensor levels = at::full({embeds.size(0)}, level, embeds.options().dtype(at::kLong));
  const at::Tensor drawn = noise.draw_like(embeds).to(embeds.scalar_type());
  const at::Tensor noised = add_noise(alphas_cumprod(noising_).to(embeds.options()),
                                      normalizer_.scale(embeds), drawn, levels);
  const at::Tensor how_much = timestep_embedding(levels, static_cast<int>(embeds.size(1)), true, 0)
                                  .to(embeds.scalar_type());
  return at::cat({normalizer_.unscale(noised).to(embeds.scalar_type()), how_much}, 1);
}

}  // namespace longhand
