#include "pipeline/karlo.h"

#include "core/error.h"

namespace longhand {
namespace {

constexpr int colours = 3;
constexpr int super_res_steps = 7;  // the reference's default

/// The file leaves unsaid which β UnCLIPScheduler has; another scheduler in its place must know.
SchedulerConfig unclip_schedule(nlohmann::json config) {
  config.emplace("beta_schedule", "squaredcos_cap_v2");
  return SchedulerConfig::from_json(config);
}

UNet2DModel super_res(const Checkpoint& checkpoint, const char* component, at::ScalarType dtype) {
  return load_component<UNet2DModel, UNet2DConfig>(checkpoint, component, dtype);
}

/// PIL-like bicubic filter, as the reference takes between the two sizes.
at::Tensor resized(const at::Tensor& pictures, std::int64_t side) {
  return at::_upsample_bicubic2d_aa(pictures.to(at::kFloat).contiguous(), {side, side}, false);
}

}  // namespace

Karlo::Karlo(const Checkpoint& checkpoint, const ModelOptions& options)
    : dtype_(options.dtype),
      text_encoder_(load_text_encoder(checkpoint, "text_encoder", "tokenizer", dtype_)),
      text_proj_(load_component<UnCLIPTextProjModel, UnCLIPTextProjConfig>(checkpoint, "text_proj",
                                                                           dtype_)),
      decoder_(load_component<UNet2DConditionModel, UNet2DConditionConfig>(checkpoint, "decoder",
                                                                           dtype_)),
      super_res_first_(super_res(checkpoint, "super_res_first", dtype_)),
      super_res_last_(super_res(checkpoint, "super_res_last", dtype_)),
      schedule_(unclip_schedule(checkpoint.config("decoder_scheduler"))),
      super_res_schedule_(unclip_schedule(checkpoint.config("super_res_scheduler"))) {
  refuse_options_of_latents(options, "Karlo");
  const Checkpoint source = options.prior.empty() ? checkpoint : Checkpoint(options.prior);
  if (!options.prior.empty() || source.has("prior")) {
    prior_.emplace(source, "prior", "prior_scheduler", text_encoder_, dtype_);
  }
  if (checkpoint.has("image_encoder")) {
    image_encoder_.emplace(checkpoint, "image_encoder", "feature_extractor", dtype_);
  }
  check(checkpoint);
}

void Karlo::check(const Checkpoint& checkpoint) const {
  const std::string where = checkpoint.configs().string();
  const UNet2DConditionConfig& decoder = decoder_.config();
  if (decoder.in_channels != colours || decoder.class_embed_type != "identity") {
    fail(Kind::corrupt,
         "{}: the decoder takes {} channels and class_embed_type \"{}\"; expected 3 and identity",
         where, decoder.in_channels, decoder.class_embed_type);
  }
  for (const UNet2DModel* unet : {&super_res_first_, &super_res_last_}) {
    if (unet->config().in_channels != 2 * colours ||
        unet->config().sample_size != super_res_first_.config().sample_size) {
      fail(Kind::corrupt,
           "{}: super-resolution takes {} channels of side {}; expected 6, and one side for "
           "super_res_first and super_res_last",
           where, unet->config().in_channels, unet->config().sample_size);
    }
  }
  const int text = text_encoder_.config().projection_dim;
  if (image_encoder_ && image_encoder_->config().projection_dim != text) {
    fail(Kind::corrupt,
         "{}: pictures' embeddings have {} numbers and texts' {}; they are not of one model", where,
         image_encoder_->config().projection_dim, text);
  }
}

at::Tensor Karlo::imagined(const PriorText& with, const PriorText& without,
                           const ConditioningOptions& options, NoiseSource& noise) const {
  if (!prior_) {
    fail(
        Kind::invalid_argument,
        "this model has no prior: it paints variations of pictures (longhand vary), not from text; "
        "take karlo, or give karlo's folder to --prior");
  }
  return prior_->imagine(with, without, with.text_embeds.size(0), options, noise).squeeze(1);
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
                                ? subject.image_embeds.to(dtype_)
                                : imagined(with, without, options, noise);
  const bool guides = options.guidance > 1;
  const PriorText text = guides ? joined(without, with) : with;
  const auto told = text_proj_.forward(embeds, text.text_embeds, text.states, guides);
  const std::int64_t extra = told.context.size(1) - text.states.size(1);
  const UNetCondition condition{.context = told.context,
                                .context_mask = at::constant_pad_nd(text.mask, {extra, 0}, 1),
                                .class_labels = told.time};
  return guided_denoise(
      [this, condition](const at::Tensor& input, const at::Tensor& timesteps) {
        return decoder_.forward(input, timesteps, condition);
      },
      options.guidance, dtype_);
}

std::vector<std::int64_t> Karlo::latent_shape(std::int64_t n, int width, int height) const {
  const Size own = own_size();
  if (width != own.width || height != own.height) {
    fail(Kind::invalid_argument, "{}x{} cannot be painted: Karlo's size is {}x{}", width, height,
         own.width, own.height);
  }
  const int side = decoder_.config().sample_size;
  return {n, colours, side, side};
}

at::Tensor Karlo::latents_of(const at::Tensor& pictures, NoiseSource&) const {
  return resized(pictures, decoder_.config().sample_size);
}

at::Tensor Karlo::pictures_of(const at::Tensor& latents, NoiseSource& noise) const {
  const std::int64_t n = latents.size(0), side = own_size().width;
  const at::Tensor upscaled = resized(latents.clamp(-1, 1), side).to(dtype_);
  const auto scheduler =
      make_scheduler(super_res_schedule_.class_name, super_res_schedule_, super_res_steps);
  const double last = scheduler->timesteps().back();
  const Denoise denoise = [&](const at::Tensor& sample, double timestep) {
    const UNet2DModel& unet = timestep == last ? super_res_last_ : super_res_first_;
    return unet.forward(at::cat({sample.to(dtype_), upscaled}, 1), at::full({n}, timestep));
  };
  const at::Tensor start = noise.draw({n, colours, side, side}) * scheduler->init_noise_sigma();
  return run_sampler(*scheduler, denoise, start, noise);
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
  const int side = super_res_first_.config().sample_size;
  return {side, side};
}

}  // namespace longhand
