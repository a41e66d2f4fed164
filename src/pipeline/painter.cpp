#include "pipeline/painter.h"

#include "core/error.h"
#include "models/config.h"
#include "nn/pictures.h"

namespace longhand {
namespace {

std::vector<Image> images_of(const at::Tensor& pictures) {
  std::vector<Image> images;
  for (std::int64_t i = 0; i < pictures.size(0); ++i) {
    images.push_back(tensor_to_picture(pictures[i]));
  }
  return images;
}

}  // namespace

ModelDefaults ModelDefaults::of(const fs::path& folder) {
  ModelDefaults defaults;
  if (fs::exists(folder / "longhand.json")) {
    const nlohmann::json json = read_config(folder / "longhand.json");
    if (json.contains("steps")) {
      defaults.steps = config_value(json, "steps", 1);
    }
    if (json.contains("guidance")) {
      defaults.guidance = config_value(json, "guidance", 1.0);
    }
    defaults.scheduler = config_value(json, "scheduler", defaults.scheduler);
    defaults.about = config_value(json, "about", defaults.about);
  }
  if (fs::exists(folder / "upsampling.json")) {
    defaults.upsampling = folder / "upsampling.json";
  }
  return defaults;
}

Painter::Painter(const fs::path& model, const ModelOptions& options)
    : model_(load_diffusion_model(model, options)) {}

void Painter::add_refiner(const fs::path& model, const ModelOptions& options) {
  refiner_ = load_diffusion_model(model, options);
}

void Painter::check(const PaintOptions& options) const {
  model_->latent_shape(1, options.width, options.height);
  make_scheduler(options.scheduler, model_->schedule(), options.steps);
}

int Painter::calls(const PaintOptions& options) const {
  const auto scheduler = make_scheduler(options.scheduler, model_->schedule(), options.steps);
  return static_cast<int>(scheduler->timesteps().size());
}

std::vector<Image> Painter::painted(const std::vector<Order>& orders,
                                    const PaintOptions& options) const {
  const c10::InferenceMode inference;
  Subject subject{.captions = {}, .negative_prompt = options.negative_prompt, .image_embeds = {}};
  std::vector<std::int64_t> seeds;
  for (const Order& order : orders) {
    subject.captions.push_back(order.caption);
    seeds.push_back(order.seed);
  }
  NoiseSource noise(seeds);
  const Denoise denoise = model_->denoiser(subject, options, noise);
  const auto scheduler = make_scheduler(options.scheduler, model_->schedule(), options.steps);
  const at::Tensor start =
      noise.draw(model_->latent_shape(subject.size(), options.width, options.height))
          .contiguous(at::MemoryFormat::ChannelsLast) *
      scheduler->init_noise_sigma();
  int calls = 0;
  SamplingSpan span;
  if (refiner_) {
    span.end = scheduler->end_of_denoising(options.refiner_start);
  }
  span.on_step = [&](std::size_t, at::Tensor&) {
    if (options.on_step) {
      options.on_step(++calls);
    }
  };
  at::Tensor latents = run_sampler(*scheduler, denoise, start, noise, span);
  if (refiner_) {
    latents = refined(latents, subject, options, noise, calls);
    return images_of(refiner_->pictures_of(latents, noise));
  }
  return images_of(model_->pictures_of(latents, noise));
}

/// The refiner's share of the run, from where the base stopped; no noise is added.
at::Tensor Painter::refined(const at::Tensor& latents, const Subject& subject,
                            const PaintOptions& options, NoiseSource& noise, int calls) const {
  const Denoise denoise = refiner_->denoiser(subject, options, noise);
  const auto scheduler = make_scheduler(options.scheduler, refiner_->schedule(), options.steps);
  SamplingSpan span;
  span.begin = scheduler->start_of_denoising(options.refiner_start);
  span.on_step = [&](std::size_t, at::Tensor&) {
    if (options.on_step) {
      options.on_step(++calls);
    }
  };
  return run_sampler(*scheduler, denoise, latents, noise, span);
}

std::vector<Image> Painter::paint(const std::vector<Order>& orders,
                                  const PaintOptions& options) const {
  try {
    return painted(orders, options);
  } catch (const c10::Error& error) {
    const bool memory =
        std::string_view(error.what()).find("allocate memory") != std::string_view::npos;
    fail(memory ? Kind::out_of_memory : Kind::internal, "{}{}", error.what_without_backtrace(),
         memory ? "; take a smaller size or fewer pictures at once" : "");
  }
}

}  // namespace longhand
