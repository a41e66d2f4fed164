#include "pipeline/karlo.h"

#include <algorithm>

#include "core/error.h"
#include "pipeline/memory.h"

namespace longhand {
namespace {

constexpr int colours = 3;
constexpr int super_resolution_steps = 7;  // the reference's default

/// The file leaves unsaid which β UnCLIPScheduler has; another scheduler in its place must know.
SchedulerConfig unclip_schedule(nlohmann::json config) {
  config.emplace("beta_schedule", "squaredcos_cap_v2");
  return SchedulerConfig::from_json(config);
}

UNet2DModel super_res(const Checkpoint& checkpoint, const char* component,
                      const at::TensorOptions& placement) {
  return load_component<UNet2DModel, UNet2DConfig>(checkpoint, component, placement);
}

/// PIL-like bicubic filter, as the reference takes between the two sizes.
at::Tensor resized(const at::Tensor& pictures, std::int64_t side) {
  return at::_upsample_bicubic2d_aa(pictures.to(at::kFloat).contiguous(), {side, side}, false);
}

}  // namespace

Karlo::Karlo(const Checkpoint& checkpoint, const ModelOptions& options)
    : DiffusionModel(checkpoint, options, options.prior),
      text_encoder_(load_text_encoder(checkpoint, "text_encoder", "tokenizer", placement_)),
      text_proj_(load_component<UnCLIPTextProjModel, UnCLIPTextProjConfig>(checkpoint, "text_proj",
                                                                           placement_)),
      decoder_(load_component<UNet2DConditionModel, UNet2DConditionConfig>(checkpoint, "decoder",
                                                                           placement_)),
      super_res_first_(super_res(checkpoint, "super_res_first", placement_)),
      super_res_last_(super_res(checkpoint, "super_res_last", placement_)),
      schedule_(unclip_schedule(checkpoint.config("decoder_scheduler"))),
      super_res_schedule_(unclip_schedule(checkpoint.config("super_res_scheduler"))) {
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

int Karlo::super_res_steps() const { return super_resolution_steps; }

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
  const Size own = own_size();
  if (width != own.width || height != own.height) {
    fail(Kind::invalid_argument, "{}x{} cannot be painted: Karlo's size is {}x{}", width, height,
         own.width, own.height);
  }
  const int side = decoder_.config().sample_size;
  return {n, colours, side, side};
}

std::int64_t Karlo::working_bytes(std::int64_t n, const ConditioningOptions& options) const {
  const std::int64_t side = decoder_.config().sample_size, large = own_size().width;
  return std::max(
      unet_bytes(decoder_.config(), options.guidance > 1 ? 2 * n : n, side, side, dtype()),
      unet_bytes(super_res_first_.config(), n, large, large, dtype()));
}

at::Tensor Karlo::latents_of(const at::Tensor& pictures, NoiseSource&) const {
  return resized(pictures, decoder_.config().sample_size);
}

at::Tensor Karlo::pictures_of(const at::Tensor& latents, NoiseSource& noise,
                              const OnStep& on_step) const {
  const std::int64_t n = latents.size(0), side = own_size().width;
  const at::Tensor upscaled = resized(latents.clamp(-1, 1), side).to(placement_);
  const auto scheduler =
      make_scheduler(super_res_schedule_.class_name, super_res_schedule_, super_res_steps());
  const double last = scheduler->timesteps().back();
  const Denoise denoise = [&](const at::Tensor& sample, double timestep) {
    const UNet2DModel& unet = timestep == last ? super_res_last_ : super_res_first_;
    return unet.forward(at::cat({sample.to(placement_), upscaled}, 1),
                        at::full({n}, timestep, sample.options()));
  };
  const at::Tensor start = noise.draw({n, colours, side, side}) * scheduler->init_noise_sigma();
  return run_sampler(*scheduler, denoise, start, noise, counted(on_step));
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
