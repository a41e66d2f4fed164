#include "pipeline/stable_diffusion.h"

#include <algorithm>

#include "core/error.h"
#include "models/config.h"
#include "models/picture_token.h"
#include "pipeline/memory.h"

namespace longhand {
namespace {

constexpr double aesthetic_score = 6.0, negative_aesthetic_score = 2.5;  // the reference's defaults

nlohmann::json index_of(const Checkpoint& checkpoint) {
  return read_config(checkpoint.configs() / "model_index.json");
}

std::optional<TextEncoder> text_encoder(const Checkpoint& checkpoint,
                                        std::map<std::string, Weights>& weights,
                                        const std::string& component,
                                        const std::string& tokenizer) {
  const auto found = weights.find(component);
  if (found == weights.end()) {
    return std::nullopt;
  }
  return std::make_optional<TextEncoder>(checkpoint, tokenizer, found->second,
                                         CLIPTextConfig::from_json(checkpoint.config(component)));
}

/// The image encoder is the other half of the text encoder's CLIP; SDXL models may come with one of
/// pictures, which belongs to an adapter.
bool looks_at_latents(const Checkpoint& checkpoint, int latent_channels) {
  return checkpoint.has("image_encoder") &&
         config_value(checkpoint.config("image_encoder"), "num_channels", 3) == latent_channels;
}

/// [n, 1, 1]: 1 for captions that say something, 0 for those that do not.
at::Tensor written(const std::vector<std::string>& captions) {
  at::Tensor says = at::empty({static_cast<std::int64_t>(captions.size()), 1, 1}, at::kFloat);
  std::ranges::transform(captions, says.mutable_data_ptr<float>(),
                         [](const std::string& caption) { return caption.empty() ? 0.0F : 1.0F; });
  return says;
}

}  // namespace

PaintableSizes StableDiffusion::paintable_sizes(const Checkpoint& checkpoint,
                                                const ModelOptions& options) {
  return {.multiple = painting_factor(checkpoint, "vae", options)};
}

StableDiffusion::StableDiffusion(const Checkpoint& checkpoint, const ModelOptions& options)
    : StableDiffusion(
          checkpoint, options,
          weights_with_loras(checkpoint, {"unet", "text_encoder", "text_encoder_2"}, options)) {}

StableDiffusion::StableDiffusion(const Checkpoint& checkpoint, const ModelOptions& options,
                                 std::map<std::string, Weights> weights)
    : DiffusionModel(checkpoint, options, options.prior, paintable_sizes(checkpoint, options)),
      class_name_(config_value<std::string>(index_of(checkpoint), "_class_name", "")),
      zeros_for_empty_(config_value(index_of(checkpoint), "force_zeros_for_empty_prompt",
                                    class_name_ == "StableDiffusionXLPipeline")),
      scores_aesthetics_(config_value(index_of(checkpoint), "requires_aesthetics_score", false)),
      text_encoder_(text_encoder(checkpoint, weights, "text_encoder", "tokenizer")),
      text_encoder_2_(text_encoder(checkpoint, weights, "text_encoder_2", "tokenizer_2")),
      unet_(load_unet(checkpoint, weights)),
      autoencoder_(painting_autoencoder(checkpoint, "vae", options)),
      previewer_(preview_autoencoder(checkpoint, "vae", options, autoencoder_)),
      schedule_(SchedulerConfig::from_json(checkpoint.config("scheduler"))) {
  if (!(is_xl() ? text_encoder_2_ : text_encoder_)) {
    fail(Kind::corrupt, "{}: this unet reads with {}, which the model lacks",
         checkpoint.configs().string(), is_xl() ? "text_encoder_2" : "text_encoder");
  }
  if (checkpoint.has("image_normalizer")) {
    image_.emplace(checkpoint, options);
  } else if (is_xl() && looks_at_latents(checkpoint, autoencoder_->latent_channels())) {
    joint_encoder_.emplace(checkpoint, "image_encoder", "feature_extractor", placement_,
                           autoencoder_);
    if (checkpoint.has("prior") || !options.prior.empty()) {
      prior_.emplace(checkpoint, options.prior, text_encoder_2_.value(), placement_);
    }
  } else if (!options.prior.empty()) {
    fail(Kind::invalid_argument, "{} paints from text without a prior; leave --prior out",
         checkpoint.configs().string());
  }
  if (checkpoint.has("super_res")) {
    enlarger_.emplace(checkpoint, SuperResolutionNames{"super_res", "", "super_res_scheduler"},
                      placement_);
    if (const int side = own_size().width;
        enlarger_->side() <= side || enlarger_->side() % side != 0) {
      fail(Kind::corrupt,
           "{}: super_res paints {} pixels a side and the unet {}; expected a multiple of it",
           checkpoint.configs().string(), enlarger_->side(), side);
    }
  }
  const UNet2DConditionConfig& own = unet_.config();
  int width = 0;
  for (const auto* encoder : {&text_encoder_, &text_encoder_2_}) {
    width += *encoder ? (*encoder)->config().hidden_size : 0;
  }
  if (own.cross_attention_dim != width) {
    fail(Kind::corrupt,
         "{}: the unet reads text of width {} and the text encoders give {}; they are not of one "
         "model",
         checkpoint.configs().string(), own.cross_attention_dim, width);
  }
  if (own.in_channels != autoencoder_->latent_channels() || own.out_channels != own.in_channels) {
    fail(Kind::corrupt,
         "{}: the unet takes {} channels and the vae gives {}; they are not of one model",
         checkpoint.configs().string(), own.in_channels, autoencoder_->latent_channels());
  }
}

StableDiffusion::Text StableDiffusion::encode(const std::vector<std::string>& captions,
                                              const ReadingOptions& reading) const {
  if (!is_xl()) {
    return {text_encoder_->encode(captions, reading).last_hidden_state, {}};
  }
  std::vector<at::Tensor> contexts;
  if (text_encoder_) {
    contexts.push_back(text_encoder_->encode(captions, reading).penultimate);
  }
  const TextEncoding second = text_encoder_2_->encode(captions, reading);
  contexts.push_back(second.penultimate);
  return {at::cat(contexts, -1), second.text_embeds};
}

/// The captions' text and, where it guides, that of the negative prompt, read in one batch.
std::pair<StableDiffusion::Text, StableDiffusion::Text> StableDiffusion::texts(
    const Subject& subject, const ReadingOptions& reading, bool guides) const {
  const bool zeros = is_xl() && zeros_for_empty_ && !subject.negative_prompt;
  if (!guides || zeros) {
    const Text with = encode(subject.captions, reading);
    return {with,
            {at::zeros_like(with.context), is_xl() ? at::zeros_like(with.pooled) : at::Tensor()}};
  }
  std::vector<std::string> captions = {subject.negative_prompt.value_or("")};
  captions.insert(captions.end(), subject.captions.begin(), subject.captions.end());
  const Text all = encode(captions, reading);
  const auto with = [&](const at::Tensor& x) {
    return x.defined() ? x.narrow(0, 1, subject.size()) : x;
  };
  const auto without = [&](const at::Tensor& x) {
    return x.defined() ? x.narrow(0, 0, 1).expand_as(with(x)) : x;
  };
  return {{with(all.context), with(all.pooled)}, {without(all.context), without(all.pooled)}};
}

/// Original size, crop, and target size or aesthetic score (Podell et al. 2023, section 2.2).
at::Tensor StableDiffusion::time_ids(const ConditioningOptions& options, double score,
                                     std::int64_t n) const {
  const double height = options.height, width = options.width;
  const std::vector<double> ids = scores_aesthetics_
                                      ? std::vector<double>{height, width, 0, 0, score}
                                      : std::vector<double>{height, width, 0, 0, height, width};
  return at::tensor(ids, at::kFloat).to(device()).unsqueeze(0).expand({n, -1});
}

const JointPrior& StableDiffusion::prior() const {
  if (!prior_) {
    fail(Kind::invalid_argument,
         "this model has no prior from text to pictures' embeddings; take Kandinsky 2.2 or Karlo, "
         "or paint from the text itself, without --imagine");
  }
  return *prior_;
}

at::Tensor StableDiffusion::pictured(const Subject& subject, const ConditioningOptions& options,
                                     NoiseSource& noise) const {
  if (subject.image_embeds.defined()) {
    return subject.image_embeds.to(placement_);
  }
  return options.imagine ? imagined_embeds(subject, options, noise) : at::Tensor();
}

UNetCondition StableDiffusion::condition(const Subject& subject, const ConditioningOptions& options,
                                         bool guides, NoiseSource& noise) const {
  const std::int64_t n = subject.size();
  const auto [text, none] = texts(subject, options.reading, guides);
  UNetCondition with{.context = text.context};
  if (is_xl()) {
    with.text_embeds = text.pooled;
    with.time_ids = time_ids(options, aesthetic_score, n);
    if (const at::Tensor embeds = pictured(subject, options, noise); embeds.defined()) {
      with.text_embeds = embeds;
      with.context =
          with_picture_token(with.context * written(subject.captions).to(placement_), embeds);
    }
  }
  if (image_) {
    const at::Tensor embeds = subject.image_embeds.defined()
                                  ? subject.image_embeds.to(placement_)
                                  : image_->imagine(subject.captions, options, noise);
    with.class_labels = image_->class_labels(embeds, options.noise_level, noise);
  }
  if (!guides) {
    return with;
  }
  UNetCondition without{.context = none.context};
  if (is_xl()) {
    without.text_embeds = none.pooled;
    without.time_ids = time_ids(options, negative_aesthetic_score, n);
  }
  if (image_) {
    without.class_labels = at::zeros_like(with.class_labels);
  }
  return joined(without, with);
}

/// LCM is told the scale instead of guided.
bool StableDiffusion::guides(const ConditioningOptions& options) const {
  return options.guidance > 1 && unet_.config().time_cond_proj_dim == 0;
}

Denoise StableDiffusion::denoiser(const Subject& subject, const ConditioningOptions& options,
                                  NoiseSource& noise) const {
  const int told = unet_.config().time_cond_proj_dim;
  const bool guides = this->guides(options);
  UNetCondition conditions = condition(subject, options, guides, noise);
  if (told > 0) {
    const at::Tensor scales =
        at::full({subject.size()}, (options.guidance - 1) * 1000, placement_.dtype(at::kFloat));
    conditions.guidance_embeds = timestep_embedding(scales, told, false, 1).to(placement_);
  }
  return guided_denoise(
      [run = unet_.with(conditions)](const at::Tensor& input, const at::Tensor& timesteps) mutable {
        return run.forward(input, timesteps);
      },
      guides ? options.guidance : 1, placement_, options.guidance_rescale);
}

std::vector<std::int64_t> StableDiffusion::latent_shape(std::int64_t n, int width,
                                                        int height) const {
  sizes().require({width, height});
  const int factor = autoencoder_->factor();
  return {n, autoencoder_->latent_channels(), height / factor, width / factor};
}

std::int64_t StableDiffusion::working_bytes(std::int64_t n,
                                            const ConditioningOptions& options) const {
  const auto shape = latent_shape(n, options.width, options.height);
  return std::max(
      unet_bytes(unet_.config(), guides(options) ? 2 * n : n, shape[2], shape[3], dtype()),
      autoencoder_->least_bytes(options.height, options.width, dtype()));
}

at::Tensor StableDiffusion::latents_of(const at::Tensor& pictures, NoiseSource& noise) const {
  return autoencoder_->sampled_latents_of(pictures.to(placement_), [&](at::IntArrayRef shape) {
    std::vector<std::int64_t> drawn = shape.vec();
    drawn[0] = noise.size();
    return noise.draw(drawn);
  });
}

at::Tensor StableDiffusion::pictures_of(const at::Tensor& latents, NoiseSource&,
                                        const OnStep&) const {
  return decoded(autoencoder_, latents, placement_);
}

at::Tensor StableDiffusion::previews_of(const at::Tensor& latents) const {
  return decoded(previewer_, latents, placement_);
}

int StableDiffusion::prior_steps(const Subject& subject, const ConditioningOptions& options) const {
  if (subject.image_embeds.defined()) {
    return 0;
  }
  if (image_) {
    return image_->prior_steps(options);
  }
  return options.imagine ? prior().steps(options) : 0;
}

at::Tensor StableDiffusion::image_embeds_of(const std::vector<Image>& images) const {
  if (joint_encoder_) {
    return joint_encoder_->encode(images);
  }
  return image_ ? image_->encode(images) : DiffusionModel::image_embeds_of(images);
}

at::Tensor StableDiffusion::text_embeds_of(const std::vector<std::string>& texts) const {
  return joint_encoder_ ? encode(texts, {}).pooled : DiffusionModel::text_embeds_of(texts);
}

at::Tensor StableDiffusion::imagined_embeds(const Subject& subject,
                                            const ConditioningOptions& options,
                                            NoiseSource& noise) const {
  if (image_) {
    return image_->imagine(subject.captions, options, noise);
  }
  return prior().imagine(text_encoder_2_.value(), subject.captions,
                         subject.negative_prompt.value_or(""), options, noise);
}

Size StableDiffusion::own_size() const {
  const int side = unet_.config().sample_size * autoencoder_->factor();
  return {side, side};
}

int StableDiffusion::max_tokens() const {
  const TextEncoder& encoder = text_encoder_ ? *text_encoder_ : *text_encoder_2_;
  return encoder.config().max_position_embeddings;
}

std::shared_ptr<const ClipTokenizer> StableDiffusion::tokenizer() const {
  return (text_encoder_ ? *text_encoder_ : *text_encoder_2_).tokenizer();
}

int StableDiffusion::default_steps() const {
  if (image_) {
    return 20;
  }
  const bool turbo = is_xl() && schedule_.class_name == "EulerAncestralDiscreteScheduler" &&
                     schedule_.timestep_spacing == "trailing";
  return turbo || schedule_.class_name == "LCMScheduler" ? 4 : 50;
}

double StableDiffusion::default_guidance() const {
  if (image_) {
    return 10;
  }
  if (default_steps() == 4) {
    return unet_.config().time_cond_proj_dim > 0 ? 8.5 : 1;
  }
  return is_xl() ? 5 : 7.5;
}

}  // namespace longhand
