#include "pipeline/karlo.h"

#include <algorithm>

#include "core/error.h"
#include "pipeline/memory.h"

namespace longhand {
namespace {

constexpr int colours = 3;

}  // namespace

Karlo::Karlo(const Checkpoint& checkpoint, const ModelOptions& options)
    : DiffusionModel(checkpoint, options, options.prior, paintable_sizes(checkpoint, options)),
      text_encoder_(load_text_encoder(checkpoint, "text_encoder", "tokenizer", placement_)),
      text_proj_(load_component<UnCLIPTextProjModel, UnCLIPTextProjConfig>(checkpoint, "text_proj",
                                                                           placement_)),
      decoder_(load_component<UNet2DConditionModel, UNet2DConditionConfig>(checkpoint, "decoder",
                                                                           placement_)),
      super_resolution_(checkpoint, {"super_res_first", "super_res_last", "super_res_scheduler"},
                        placement_),
      schedule_(unclip_schedule(checkpoint.config("decoder_scheduler"))) {
  refuse_options_of_latents(options, "Karlo");
  const Checkpoint source = options.prior.empty() ? checkpoint : Checkpoint(options.prior);
  if (!options.prior.empty() || source.has("prior")) {
    prior_.emplace(source, "prior", "prior_scheduler", text_encoder_, placement_);
  }
  if (checkpoint.has("image_encoder")) {
    image_encoder_.emplace(checkpoint, "image_encoder", "feature_extractor", placement_);
  }
  check(checkpoint);
}

PaintableSizes Karlo::paintable_sizes(const Checkpoint& checkpoint, const ModelOptions&) {
  const auto config = UNet2DConfig::from_json(checkpoint.config("super_res_first"));
  return {.only = Size{config.sample_size, config.sample_size}};
}

void Karlo::check(const Checkpoint& checkpoint) const {
  const std::string where = checkpoint.configs().string();
  const UNet2DConditionConfig& decoder = decoder_.config();
  if (decoder.in_channels != colours || decoder.class_embed_type != "identity") {
    fail(Kind::corrupt,
         "{}: the decoder takes {} channels and class_embed_type \"{}\"; expected 3 and identity",
         where, decoder.in_channels, decoder.class_embed_type);
  }
  const int text = text_encoder_.config().projection_dim;
  if (image_encoder_ && image_encoder_->config().projection_dim != text) {
    fail(Kind::corrupt,
         "{}: pictures' embeddings have {} numbers and texts' {}; they are not of one model", where,
         image_encoder_->config().projection_dim, text);
  }
}

const Prior& Karlo::prior() const {
  if (!prior_) {
    fail(
        Kind::invalid_argument,
        "this model has no prior: it paints variations of pictures (longhand vary), not from text; "
        "take karlo, or give karlo's folder to --prior");
  }
  return *prior_;
}

int Karlo::prior_steps(const Subject& subject, const ConditioningOptions& options) const {
  return subject.image_embeds.defined() ? 0 : prior().steps(options);
}

at::Tensor Karlo::imagined(const PriorText& with, const PriorText& without,
                           const ConditioningOptions& options, NoiseSource& noise) const {
  return prior().imagine(with, without, with.text_embeds.size(0), options, noise).squeeze(1);
}

at::Tensor Karlo::imagined_embeds(const Subject& subject, const ConditioningOptions& options,
                                  NoiseSource& noise) const {
  return imagined(
      prior_text(text_encoder_, subject.captions, options.reading),
      prior_text(text_encoder_, {subject.negative_prompt.value_or("")}, options.reading), options,
      noise);
}

Denoise Karlo::denoiser(const Subject& subject, const ConditioningOptions& options,
                        NoiseSource& noise) const {
  const PriorText with = prior_text(text_encoder_, subject.captions, options.reading);
  const PriorText without =
      prior_text(text_encoder_, {subject.negative_prompt.value_or("")}, options.reading);
  const at::Tensor embeds = subject.image_embeds.defined()
                                ? subject.image_embeds.to(placement_)
                                : imagined(with, without, options, noise);
  const bool guides = options.guidance > 1;
  const PriorText text = guides ? joined(without, with) : with;
  const auto told = text_proj_.forward(embeds, text.text_embeds, text.states, guides);
  const std::int64_t extra = told.context.size(1) - text.states.size(1);
  const UNetCondition condition{.context = told.context,
                                .context_mask = at::constant_pad_nd(text.mask, {extra, 0}, 1),
                                .class_labels = told.time};
  return guided_denoise(
      [run = decoder_.with(condition)](const at::Tensor& input,
                                       const at::Tensor& timesteps) mutable {
        return run.forward(input, timesteps);
      },
      options.guidance, placement_);
}

std::vector<std::int64_t> Karlo::latent_shape(std::int64_t n, int width, int height) const {
  sizes().require({width, height});
  const int side = decoder_.config().sample_size;
  return {n, colours, side, side};
}

std::int64_t Karlo::working_bytes(std::int64_t n, const ConditioningOptions& options) const {
  const std::int64_t side = decoder_.config().sample_size, large = own_size().width;
  return std::max(
      unet_bytes(decoder_.config(), options.guidance > 1 ? 2 * n : n, side, side, dtype()),
      super_resolution_.working_bytes(n, large, large));
}

at::Tensor Karlo::latents_of(const at::Tensor& pictures, NoiseSource&) const {
  const int side = decoder_.config().sample_size;
  return resized(pictures, side, side);
}

at::Tensor Karlo::pictures_of(const at::Tensor& latents, NoiseSource& noise,
                              const OnStep& on_step) const {
  const std::int64_t side = own_size().width;
  return super_resolution_.enlarged(latents, side, side, noise, on_step);
}

at::Tensor Karlo::image_embeds_of(const std::vector<Image>& images) const {
  if (!image_encoder_) {
    fail(Kind::invalid_argument,
         "this model has no image encoder: it paints from text (longhand draw); for pictures take "
         "karlo-variations");
  }
  return image_encoder_->encode(images);
}

at::Tensor Karlo::text_embeds_of(const std::vector<std::string>& texts) const {
  return prior_text(text_encoder_, texts, {}).text_embeds;
}

Size Karlo::own_size() const {
  const int side = super_resolution_.side();
  return {side, side};
}

}  // namespace longhand
