#include "pipeline/kandinsky.h"

#include <algorithm>

#include "core/error.h"
#include "io/hub_catalogue.h"
#include "pipeline/memory.h"

namespace longhand {
namespace {

constexpr const char* published_prior = "kandinsky-community/kandinsky-2-2-prior";

/// "…/kandinsky-2-2-decoder" → "…/kandinsky-2-2-prior"; "" where the name does not say decoder.
fs::path sibling_prior(const fs::path& folder) {
  const fs::path whole = fs::absolute(folder / "").parent_path();
  std::string name = whole.filename().string();
  const std::string decoder = "decoder";
  const auto at = name.find(decoder);
  return at == std::string::npos ? fs::path()
                                 : whole.parent_path() / name.replace(at, decoder.size(), "prior");
}

fs::path prior_folder(const Checkpoint& checkpoint, const ModelOptions& options) {
  if (!options.prior.empty()) {
    return options.prior;
  }
  const fs::path sibling = sibling_prior(checkpoint.configs());
  if (!sibling.empty() && fs::exists(sibling)) {
    return sibling;
  }
  try {
    return resolve_model(published_prior);
  } catch (const Error& error) {
    throw Error(error.kind(),
                fmt::format("Kandinsky 2.2 paints from text with a prior, a model of its own: {}; "
                            "or give its folder to --prior",
                            error.what()));
  }
}

std::map<std::string, Weights> unet_weights(const Checkpoint& checkpoint,
                                            const ModelOptions& options) {
  try {
    return weights_with_loras(checkpoint, {"unet"}, options);
  } catch (const Error& error) {
    if (options.loras.empty()) {
      throw;
    }
    throw Error(error.kind(), fmt::format("{}\n  of Kandinsky 2.2, LoRAs of the decoder's unet can "
                                          "be added, those of the prior cannot",
                                          error.what()));
  }
}

UNet2DConditionModel unet(const Checkpoint& checkpoint, const ModelOptions& options) {
  auto weights = unet_weights(checkpoint, options);
  return load_unet(checkpoint, weights);
}

}  // namespace

Kandinsky::PriorSource Kandinsky::prior_source(const Checkpoint& checkpoint,
                                               const ModelOptions& options) {
  if (options.prior.empty() && checkpoint.has("prior_prior")) {
    return {checkpoint, "prior_"};
  }
  PriorSource source{Checkpoint(prior_folder(checkpoint, options)), ""};
  if (!source.checkpoint.has("prior") || !source.checkpoint.has("image_encoder")) {
    fail(Kind::invalid_argument,
         "{} is no prior of Kandinsky 2.2: expected prior, text_encoder and image_encoder in it; "
         "{} has them",
         source.checkpoint.configs().string(), published_prior);
  }
  return source;
}

Kandinsky::Kandinsky(const Checkpoint& checkpoint, const ModelOptions& options)
    : Kandinsky(checkpoint, options, prior_source(checkpoint, options)) {}

Kandinsky::Kandinsky(const Checkpoint& checkpoint, const ModelOptions& options,
                     const PriorSource& prior)
    : DiffusionModel(checkpoint, options,
                     prior.prefix.empty() ? prior.checkpoint.path() : fs::path(),
                     paintable_sizes(checkpoint, options)),
      unet_(unet(checkpoint, options)),
      autoencoder_(painting_autoencoder(checkpoint, "movq", options)),
      previewer_(preview_autoencoder(checkpoint, "movq", options, autoencoder_)),
      schedule_(SchedulerConfig::from_json(checkpoint.config("scheduler"))),
      text_encoder_(load_text_encoder(prior.checkpoint, prior.prefix + "text_encoder",
                                      prior.prefix + "tokenizer", placement_)),
      image_encoder_(prior.checkpoint, prior.prefix + "image_encoder",
                     prior.prefix + "image_processor", placement_),
      prior_(prior.checkpoint, prior.prefix + "prior", prior.prefix + "scheduler", text_encoder_,
             placement_) {
  check(checkpoint);
}

/// The reference rounds sides to multiples of the autoencoder's factor squared.
PaintableSizes Kandinsky::paintable_sizes(const Checkpoint& checkpoint,
                                          const ModelOptions& options) {
  const int factor = painting_factor(checkpoint, "movq", options);
  return {.multiple = factor * factor};
}

void Kandinsky::check(const Checkpoint& checkpoint) const {
  const UNet2DConditionConfig& own = unet_.config();
  const int pictures = image_encoder_.config().projection_dim, texts = prior_.embedding_dim();
  if (own.addition_embed_type != "image" || own.encoder_hid_dim != pictures || pictures != texts) {
    fail(
        Kind::corrupt,
        "{}: the unet reads embeddings of {} numbers, the image encoder gives {} and the prior {}; "
        "they are not of one model",
        checkpoint.configs().string(), own.encoder_hid_dim, pictures, texts);
  }
  if (own.in_channels != autoencoder_->latent_channels()) {
    fail(Kind::corrupt,
         "{}: the unet takes {} channels and the autoencoder gives {}; they are not of one model",
         checkpoint.configs().string(), own.in_channels, autoencoder_->latent_channels());
  }
}

Kandinsky::Embeds Kandinsky::embeds_of(const Subject& subject, const ConditioningOptions& options,
                                       NoiseSource& noise) const {
  const std::optional<std::string>& negative = subject.negative_prompt;
  if (subject.image_embeds.defined()) {
    if (std::ranges::any_of(subject.captions, [](const auto& text) { return !text.empty(); })) {
      fail(Kind::invalid_argument,
           "Kandinsky 2.2 paints from a picture's embedding alone; leave the prompt out");
    }
    Subject unwanted;
    unwanted.captions.assign(subject.captions.size(), negative.value_or(""));
    return {subject.image_embeds.to(placement_),
            negative ? imagined_embeds(unwanted, options, noise) : at::Tensor()};
  }
  if (!negative) {
    return {imagined_embeds(subject, options, noise), {}};
  }
  std::vector<std::string> texts;
  for (const std::string& caption : subject.captions) {
    texts.insert(texts.end(), {caption, *negative});
  }
  const at::Tensor both = prior_.imagine(prior_text(text_encoder_, texts, options.reading),
                                         prior_text(text_encoder_, {*negative}, options.reading),
                                         subject.size(), options, noise);
  return {both.select(1, 0), both.select(1, 1)};
}

at::Tensor Kandinsky::imagined_embeds(const Subject& subject, const ConditioningOptions& options,
                                      NoiseSource& noise) const {
  return prior_.imagine(text_encoder_, subject.captions, subject.negative_prompt.value_or(""),
                        options, noise);
}

Denoise Kandinsky::denoiser(const Subject& subject, const ConditioningOptions& options,
                            NoiseSource& noise) const {
  const Embeds embeds = embeds_of(subject, options, noise);
  UNetCondition condition{.image_embeds = embeds.with};
  if (options.guidance > 1) {
    const at::Tensor none =
        embeds.without.defined() ? embeds.without : image_encoder_.encode_zeros();
    condition = joined({.image_embeds = none.expand_as(embeds.with)}, condition);
  }
  return guided_denoise(
      [run = unet_.with(condition)](const at::Tensor& input, const at::Tensor& timesteps) mutable {
        return run.forward(input, timesteps);
      },
      options.guidance, placement_);
}

std::vector<std::int64_t> Kandinsky::latent_shape(std::int64_t n, int width, int height) const {
  sizes().require({width, height});
  const int factor = autoencoder_->factor();
  return {n, unet_.config().in_channels, height / factor, width / factor};
}

std::int64_t Kandinsky::working_bytes(std::int64_t n, const ConditioningOptions& options) const {
  const auto shape = latent_shape(n, options.width, options.height);
  return std::max(
      unet_bytes(unet_.config(), options.guidance > 1 ? 2 * n : n, shape[2], shape[3], dtype()),
      autoencoder_->least_bytes(options.height, options.width, dtype()));
}

at::Tensor Kandinsky::latents_of(const at::Tensor& pictures, NoiseSource&) const {
  return autoencoder_->latents_of(pictures.to(placement_));
}

at::Tensor Kandinsky::pictures_of(const at::Tensor& latents, NoiseSource&, const OnStep&) const {
  return decoded(autoencoder_, latents, placement_);
}

at::Tensor Kandinsky::previews_of(const at::Tensor& latents) const {
  return decoded(previewer_, latents, placement_);
}

int Kandinsky::prior_steps(const Subject& subject, const ConditioningOptions& options) const {
  const bool imagines = !subject.image_embeds.defined() || subject.negative_prompt;
  return imagines ? prior_.steps(options) : 0;
}

at::Tensor Kandinsky::image_embeds_of(const std::vector<Image>& images) const {
  return image_encoder_.encode(images);
}

at::Tensor Kandinsky::text_embeds_of(const std::vector<std::string>& texts) const {
  return prior_text(text_encoder_, texts, {}).text_embeds;
}

Size Kandinsky::own_size() const {
  const int side = unet_.config().sample_size * autoencoder_->factor();
  return {side, side};
}

}  // namespace longhand
