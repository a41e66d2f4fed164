#include "pipeline/painter.h"

#include "core/error.h"
#include "diffusion/inversion.h"
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

std::unique_ptr<Scheduler> scheduler_for(const DiffusionModel& model, const PaintOptions& options) {
  return make_scheduler(options.scheduler,
                        options.unbounded ? unbounded(model.schedule()) : model.schedule(),
                        options.steps, options.eta);
}

/// What each order has of this, in one tensor; undefined where they have none.
at::Tensor stacked(const std::vector<Order>& orders, at::Tensor Order::* member) {
  std::vector<at::Tensor> rows;
  for (const Order& order : orders) {
    if ((order.*member).defined()) {
      rows.push_back(order.*member);
    }
  }
  return rows.empty() ? at::Tensor() : at::stack(rows);
}

/// Calls it; libtorch's errors become the house's.
template <class Action>
auto guarded(const Action& action) {
  try {
    const c10::InferenceMode inference;
    return action();
  } catch (const c10::Error& error) {
    const bool memory =
        std::string_view(error.what()).find("allocate memory") != std::string_view::npos;
    fail(memory ? Kind::out_of_memory : Kind::internal, "{}{}", error.what_without_backtrace(),
         memory ? "; take a smaller size or fewer pictures at once" : "");
  }
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
  calls(options);
}

int Painter::calls(const PaintOptions& options) const {
  const auto scheduler = scheduler_for(*model_, options);
  return options.guide ? calls_of_edit(*scheduler, *options.guide)
                       : static_cast<int>(scheduler->timesteps().size());
}

Painter::Run Painter::run_of(const std::vector<Order>& orders, const PaintOptions& options) const {
  Subject subject{.captions = {},
                  .negative_prompt = options.negative_prompt,
                  .image_embeds = stacked(orders, &Order::image_embeds)};
  std::vector<std::int64_t> seeds;
  for (const Order& order : orders) {
    subject.captions.push_back(order.caption);
    seeds.push_back(order.seed);
  }
  Run run{std::move(subject), NoiseSource(seeds), {}, [&options, calls = 0]() mutable {
            if (options.on_step) {
              options.on_step(++calls);
            }
          }};
  run.denoise = model_->denoiser(run.subject, options, run.noise);
  run.start = stacked(orders, &Order::noise);
  return run;
}

std::vector<Image> Painter::painted(const std::vector<Order>& orders,
                                    const PaintOptions& options) const {
  Run run = run_of(orders, options);
  if (options.guide) {
    return images_of(model_->pictures_of(from_guide(run, options), run.noise));
  }
  const at::Tensor latents = from_noise(run, options);
  if (refiner_) {
    return images_of(refiner_->pictures_of(refined(latents, run, options), run.noise));
  }
  return images_of(model_->pictures_of(latents, run.noise));
}

at::Tensor Painter::from_noise(Run& run, const PaintOptions& options) const {
  const auto scheduler = scheduler_for(*model_, options);
  const auto shape = model_->latent_shape(run.subject.size(), options.width, options.height);
  const at::Tensor noise = run.start.defined() ? run.start : run.noise.draw(shape);
  const at::Tensor start =
      noise.contiguous(at::MemoryFormat::ChannelsLast) * scheduler->init_noise_sigma();
  SamplingSpan span;
  if (refiner_) {
    span.end = scheduler->end_of_denoising(options.refiner_start);
  }
  span.on_step = [&](std::size_t, at::Tensor&) { run.on_step(); };
  return run_sampler(*scheduler, run.denoise, start, run.noise, span);
}

at::Tensor Painter::from_guide(Run& run, const PaintOptions& options) const {
  if (refiner_) {
    fail(Kind::invalid_argument,
         "a picture is edited by one model; edit it again with --model for the refiner");
  }
  const PictureGuide& guide = *options.guide;
  const at::Tensor pictures = guide.picture.unsqueeze(0).expand({run.subject.size(), -1, -1, -1});
  const at::Tensor latents = model_->latents_of(pictures, run.noise)
                                 .to(at::kFloat)
                                 .contiguous(at::MemoryFormat::ChannelsLast);
  return edited_latents([&] { return scheduler_for(*model_, options); }, run.denoise, latents,
                        guide, run.noise, run.on_step);
}

/// The refiner's share of the run, from where the base stopped; no noise is added.
at::Tensor Painter::refined(const at::Tensor& latents, Run& run,
                            const PaintOptions& options) const {
  const Denoise denoise = refiner_->denoiser(run.subject, options, run.noise);
  const auto scheduler = scheduler_for(*refiner_, options);
  SamplingSpan span;
  span.begin = scheduler->start_of_denoising(options.refiner_start);
  span.on_step = [&](std::size_t, at::Tensor&) { run.on_step(); };
  return run_sampler(*scheduler, denoise, latents, run.noise, span);
}

std::vector<Image> Painter::paint(const std::vector<Order>& orders,
                                  const PaintOptions& options) const {
  return guarded([&] { return painted(orders, options); });
}

at::Tensor Painter::noise_of(const Image& picture, const Order& order,
                             const PaintOptions& options) const {
  return guarded([&] {
    Run run = run_of({order}, options);
    const at::Tensor latents =
        model_->latents_of(picture_to_tensor(picture).unsqueeze(0), run.noise)
            .to(at::kFloat)
            .contiguous(at::MemoryFormat::ChannelsLast);
    const auto scheduler = make_scheduler("ddim", unbounded(model_->schedule()), options.steps);
    return inverted(*scheduler, run.denoise, latents, {.on_step = run.on_step}).squeeze(0);
  });
}

}  // namespace longhand
