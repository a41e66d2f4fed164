#include "pipeline/painter.h"

#include <algorithm>

#include "core/error.h"
#include "core/memory.h"
#include "diffusion/inversion.h"
#include "models/config.h"
#include "nn/pictures.h"
#include "nn/torch_error.h"
#include "pipeline/memory.h"

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

/// Whether a preview is due after this of so many steps.
bool is_due(int step, int steps, int previews) {
  return step * previews / steps > (step - 1) * previews / steps;
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

Subject subject_of(const std::vector<Order>& orders, const PaintOptions& options) {
  Subject subject{.captions = {},
                  .negative_prompt = options.negative_prompt,
                  .image_embeds = stacked(orders, &Order::image_embeds)};
  for (const Order& order : orders) {
    subject.captions.push_back(order.caption);
  }
  return subject;
}

/// Attempts lie apart from the seeds of neighbours: of a seed, torch's generator on the processor
/// takes the lower 32 bits.
std::int64_t seed_of_attempt(std::int64_t seed, int attempt) {
  constexpr std::int64_t apart = 0x9e3779b9;  // 2³² over the golden ratio
  return seed + attempt * apart;
}

/// Calls it; libtorch's errors become the house's.
template <class Action>
auto guarded(const Action& action) {
  try {
    const c10::InferenceMode inference;
    return action();
  } catch (const c10::Error& error) {
    throw house_error(error);
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
    if (json.contains("guidance_rescale")) {
      defaults.guidance_rescale = config_value(json, "guidance_rescale", 0.0);
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
  const auto latents = model_->latent_shape(1, options.width, options.height);
  if (refiner_ && refiner_->latent_shape(1, options.width, options.height) != latents) {
    fail(Kind::invalid_argument,
         "the refiner's latents are not those of the model, so that it cannot go on from them");
  }
  denoising_steps(options);
  enlargement(options);
  if (options.best_of < 1) {
    fail(Kind::invalid_argument, "best of {}: expected at least 1", options.best_of);
  }
  if (options.best_of > 1 && !model_->embeds()) {
    fail(Kind::invalid_argument,
         "this model has no CLIP of pictures and texts to choose pictures by; leave --best-of out");
  }
}

int Painter::enlargement(const PaintOptions& options) const {
  if (!options.enlarge) {
    return 1;
  }
  const SuperResolution* enlarger = model_->enlarger();
  if (enlarger == nullptr) {
    fail(Kind::invalid_argument,
         "this model has no super-resolution to enlarge its pictures with; leave --enlarge out");
  }
  if (options.guide) {
    fail(Kind::invalid_argument,
         "a picture is edited at its own size; leave --enlarge out, and --size makes it larger");
  }
  return enlarger->side() / model_->own_size().width;
}

bool Painter::check_memory(std::int64_t n, const PaintOptions& options) const {
  if (!model_->device().is_cpu()) {
    return false;
  }
  const auto need = [&](std::int64_t count, Size size) {
    ConditioningOptions sized = options;
    sized.width = size.width;
    sized.height = size.height;
    MemoryNeed sum{0, 0};
    for (const auto* model : {model_.get(), refiner_.get()}) {
      if (model != nullptr) {
        sum.weights += model->weights_bytes();
        sum.work = std::max(sum.work, model->working_bytes(count, sized));
      }
    }
    if (const int times = enlargement(options); times > 1) {
      sum.work = std::max(sum.work, model_->enlarger()->working_bytes(count, times * size.height,
                                                                      times * size.width));
    }
    return sum;
  };
  return require_memory(need, n, {options.width, options.height}, memory_room(), model_->dtype());
}

int Painter::denoising_steps(const PaintOptions& options) const {
  const auto scheduler = scheduler_for(*model_, options);
  if (options.guide) {
    return calls_of_edit(*scheduler, *options.guide);
  }
  if (!refiner_) {
    return static_cast<int>(scheduler->timesteps().size());
  }
  const auto refining = scheduler_for(*refiner_, options);
  return static_cast<int>(scheduler->end_of_denoising(options.refiner_start) +
                          refining->timesteps().size() -
                          refining->start_of_denoising(options.refiner_start));
}

int Painter::steps(const std::vector<Order>& orders, const PaintOptions& options) const {
  const int once = model_->prior_steps(subject_of(orders, options), options) +
                   denoising_steps(options) + model_->super_res_steps();
  const int enlarged = SuperResolution::steps + (options.best_of > 1 ? once : 0);
  return options.best_of * once + (options.enlarge ? enlarged : 0);
}

int Painter::steps_of_noise(const Order& order, const PaintOptions& options) const {
  PaintOptions once = options;
  once.best_of = 1;
  once.enlarge = false;
  return steps({order}, once) - model_->super_res_steps();
}

/// A picture at a time: a preview must not need more memory than the painting.
Preview Painter::preview(const at::Tensor& clean, int step, int steps) const {
  Preview preview{.pictures = {}, .step = step, .steps = steps};
  for (const at::Tensor& latents : clean.split(1)) {
    preview.pictures.push_back(tensor_to_picture(model_->previews_of(latents)[0]));
  }
  return preview;
}

Painter::Run Painter::run_of(const std::vector<Order>& orders, const PaintOptions& options) const {
  std::vector<std::int64_t> seeds;
  std::ranges::transform(orders, std::back_inserter(seeds), &Order::seed);
  Run run{subject_of(orders, options), NoiseSource(seeds, model_->device()), {}, {}};
  run.on_step = [this, &options, step = 0,
                 steps = denoising_steps(options)](const at::Tensor& clean) mutable {
    ++step;
    if (options.on_step) {
      options.on_step();
    }
    if (options.on_preview && is_due(step, steps, options.previews)) {
      options.on_preview(preview(clean, step, steps));
    }
  };
  run.denoise = model_->denoiser(run.subject, options, run.noise);
  run.start = stacked(orders, &Order::noise);
  return run;
}

std::vector<Image> Painter::painted(const std::vector<Order>& orders,
                                    const PaintOptions& options) const {
  Run run = run_of(orders, options);
  if (options.guide) {
    return images_of(model_->pictures_of(from_guide(run, options), run.noise, options.on_step));
  }
  at::Tensor latents = from_noise(run, options);
  if (refiner_) {
    latents = refined(latents, run, options);
  }
  const DiffusionModel& last = refiner_ ? *refiner_ : *model_;
  return images_of(enlarged(last.pictures_of(latents, run.noise, options.on_step), run, options));
}

/// What the pictures of these orders are to be near to: [n, d].
at::Tensor Painter::wanted_embeds(const std::vector<Order>& orders) const {
  if (orders.front().caption.empty() && orders.front().image_embeds.defined()) {
    return stacked(orders, &Order::image_embeds);
  }
  std::vector<std::string> captions;
  std::ranges::transform(orders, std::back_inserter(captions), &Order::caption);
  return model_->text_embeds_of(captions);
}

/// The nearest of options.best_of attempts at each order. Only those are enlarged, for which they
/// are painted once more.
std::vector<Image> Painter::best_of(const std::vector<Order>& orders,
                                    const PaintOptions& options) const {
  PaintOptions small = options;
  small.enlarge = false;
  const at::Tensor wanted = wanted_embeds(orders).to(at::kFloat);
  std::vector<Order> attempts = orders, chosen = orders;
  std::vector<Image> best(orders.size());
  std::vector<double> nearest(orders.size(), -2);  // below any cosine
  for (int attempt = 0; attempt < options.best_of; ++attempt) {
    for (std::size_t i = 0; i < orders.size(); ++i) {
      attempts[i].seed = seed_of_attempt(orders[i].seed, attempt);
    }
    std::vector<Image> images = painted(attempts, small);
    const at::Tensor near =
        at::cosine_similarity(model_->image_embeds_of(images).to(at::kFloat), wanted).cpu();
    for (std::size_t i = 0; i < orders.size(); ++i) {
      if (const double cosine = near[static_cast<std::int64_t>(i)].item<double>();
          cosine > nearest[i]) {
        nearest[i] = cosine;
        best[i] = std::move(images[i]);
        chosen[i] = attempts[i];
      }
    }
  }
  return options.enlarge ? painted(chosen, options) : best;
}

at::Tensor Painter::enlarged(const at::Tensor& pictures, Run& run,
                             const PaintOptions& options) const {
  const int times = enlargement(options);
  return times == 1
             ? pictures
             : model_->enlarger()->enlarged(pictures, times * pictures.size(2),
                                            times * pictures.size(3), run.noise, options.on_step);
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
  span.on_step = [&](std::size_t, at::Tensor&) { run.on_step(scheduler->predicted_clean()); };
  return run_sampler(*scheduler, run.denoise, start, run.noise, span);
}

at::Tensor Painter::from_guide(Run& run, const PaintOptions& options) const {
  if (refiner_) {
    fail(Kind::invalid_argument,
         "a picture is edited by one model; edit it again with --model for the refiner");
  }
  const PictureGuide& guide = *options.guide;
  const at::Tensor picture = guide.picture.to(model_->device());
  const at::Tensor latents = model_->latents_of(picture.unsqueeze(0), run.noise)
                                 .to(at::kFloat)
                                 .expand({run.subject.size(), -1, -1, -1})
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
  span.on_step = [&](std::size_t, at::Tensor&) { run.on_step(scheduler->predicted_clean()); };
  return run_sampler(*scheduler, denoise, latents, run.noise, span);
}

std::vector<Image> Painter::paint(const std::vector<Order>& orders,
                                  const PaintOptions& options) const {
  std::optional<FrugalMemory> frugal;
  if (check_memory(static_cast<std::int64_t>(orders.size()), options)) {
    frugal.emplace();
  }
  return guarded(
      [&] { return options.best_of > 1 ? best_of(orders, options) : painted(orders, options); });
}

at::Tensor Painter::noise_of(const Image& picture, const Order& order,
                             const PaintOptions& options) const {
  std::optional<FrugalMemory> frugal;
  if (check_memory(1, options)) {
    frugal.emplace();
  }
  return guarded([&] {
    Run run = run_of({order}, options);
    const at::Tensor pictures = picture_to_tensor(picture).unsqueeze(0).to(model_->device());
    const at::Tensor latents = model_->latents_of(pictures, run.noise)
                                   .to(at::kFloat)
                                   .contiguous(at::MemoryFormat::ChannelsLast);
    const auto scheduler = make_scheduler("ddim", unbounded(model_->schedule()), options.steps);
    return inverted(*scheduler, run.denoise, latents, {.on_step = options.on_step}).squeeze(0);
  });
}

}  // namespace longhand
