#include "pipeline/vary.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/letters.h"
#include "pipeline/compositing.h"
#include "pipeline/interpolation.h"
#include "text/sentences.h"

namespace longhand {
namespace {

constexpr int longest_strip = 64, default_steps_between = 5;

bool named_as_picture(const fs::path& name) {
  const std::string ending = lower(name.extension().string());
  return ending == ".png" || ending == ".jpg" || ending == ".jpeg" || ending == ".webp";
}

at::Tensor embeds_of_picture(const DiffusionModel& model, const Image& picture) {
  return model.image_embeds_of({flattened(picture)});
}

/// Orders of one seed, an embedding each.
std::vector<Order> strip(const at::Tensor& embeds, std::int64_t seed) {
  std::vector<Order> orders;
  for (const at::Tensor& each : embeds.unbind()) {
    orders.push_back({.caption = "", .seed = seed, .image_embeds = each});
  }
  return orders;
}

/// The largest middle piece of this shape, at this size.
Image fitted(const Image& picture, int width, int height) {
  const double scale = std::max(static_cast<double>(width) / picture.width,
                                static_cast<double>(height) / picture.height);
  const auto scaled = [scale](int side, int least) {
    return std::max(least, static_cast<int>(std::lround(side * scale)));
  };
  const Image whole = resize(picture, scaled(picture.width, width), scaled(picture.height, height));
  const int left = (whole.width - width) / 2, top = (whole.height - height) / 2;
  Image piece(width, height, whole.channels);
  for (int y = 0; y < height; ++y) {
    const auto row = whole.pixels.begin() +
                     (static_cast<std::ptrdiff_t>(top + y) * whole.width + left) * whole.channels;
    std::copy_n(row, width * whole.channels,
                piece.pixels.begin() + static_cast<std::ptrdiff_t>(y) * width * whole.channels);
  }
  return piece;
}

}  // namespace

BlendInput blend_input(const std::string& name) {
  std::error_code unreadable;  // a long text is no file's name
  if (named_as_picture(name) || fs::is_regular_file(name, unreadable)) {
    return {name, read_image(name)};
  }
  check_prompt(name, "the command line");
  return {name, std::nullopt};
}

int strip_length(const BlendRequest& request) {
  const int inputs = static_cast<int>(request.inputs.size());
  if (inputs < 2) {
    fail(Kind::invalid_argument,
         "{} to blend; give at least two pictures, or a picture and a text in quotation marks",
         inputs == 0 ? "nothing" : "only one input");
  }
  if (request.count && request.steps_between) {
    fail(Kind::invalid_argument, "--count and --steps-between say the same; leave one out");
  }
  const int between = request.steps_between.value_or(default_steps_between);
  const int length = request.count.value_or((inputs - 1) * (between + 1) + 1);
  if (length < inputs || length > longest_strip) {
    fail(Kind::invalid_argument, "a strip of {} inputs has {} to {} pictures, and {} are asked for",
         inputs, inputs, longest_strip, length);
  }
  return length;
}

void require_own_noise(PaintRequest& request) {
  if (!request.scheduler.empty() && request.scheduler != "ddim" &&
      request.scheduler != "DDIMScheduler") {
    fail(Kind::invalid_argument,
         "--scheduler {}: a picture's own noise is found by running ddim backwards; leave it out",
         request.scheduler);
  }
  if (request.best_of > 1) {
    fail(Kind::invalid_argument,
         "--best-of {}: a picture's own noise gives one picture; leave it out", request.best_of);
  }
  request.scheduler = "ddim";
}

PaintOptions embedding_painting_of(const EmbeddingRequest& request) {
  PaintOptions options = painting_of(request);
  options.noise_level = request.noise_level;
  return options;
}

std::vector<Order> variations(const VaryRequest& request, const Image& picture,
                              const DiffusionModel& model) {
  const c10::InferenceMode inference;
  const at::Tensor embeds = embeds_of_picture(model, picture)[0];
  std::vector<Order> orders;
  for (int i = 0; i < request.n; ++i) {
    orders.push_back(
        {.caption = request.prompt, .seed = request.seed.value() + i, .image_embeds = embeds});
  }
  return orders;
}

std::vector<Order> blend(const BlendRequest& request, const std::vector<BlendInput>& inputs,
                         const DiffusionModel& model, const OnStep& on_step) {
  const c10::InferenceMode inference;
  PaintOptions options = embedding_painting_of(request);
  options.on_step = on_step;
  std::vector<at::Tensor> embeds;
  for (const BlendInput& input : inputs) {
    if (input.picture) {
      embeds.push_back(embeds_of_picture(model, *input.picture)[0]);
      continue;
    }
    NoiseSource noise({request.seed.value()}, model.device());
    const Subject subject{
        .captions = {input.text}, .negative_prompt = request.negative_prompt, .image_embeds = {}};
    embeds.push_back(model.imagined_embeds(subject, options, noise)[0]);
  }
  return strip(along_chain(at::stack(embeds), strip_length(request)), request.seed.value());
}

std::vector<Order> morph(const MorphRequest& request, const Image& picture,
                         const DiffusionModel& model) {
  const c10::InferenceMode inference;
  const at::Tensor texts = model.text_embeds_of({request.from, request.to});
  const at::Tensor difference = text_difference(texts[0], texts[1]);
  return strip(along_difference(embeds_of_picture(model, picture)[0], difference, request.theta,
                                request.count),
               request.seed.value());
}

void start_from(const Image& picture, std::vector<Order>& orders, const Painter& painter,
                const PaintOptions& options) {
  const at::Tensor noise = painter.noise_of(
      fitted(flattened(picture), options.width, options.height), orders.front(), options);
  for (Order& order : orders) {
    order.noise = noise;
  }
}

}  // namespace longhand
