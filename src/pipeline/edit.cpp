#include "pipeline/edit.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/log.h"
#include "nn/pictures.h"
#include "pipeline/compositing.h"

namespace longhand {
namespace {

constexpr int largest_side = 16384;
constexpr int margin_share = 32;     // of the picture's shorter side, around what is pasted
constexpr int largest_factor = 64;   // sides that can be painted are at most this far apart
constexpr double many_pixels = 4.0;  // times those that the model was trained on

std::string text_of(Size size) { return fmt::format("{}x{}", size.width, size.height); }

Size size_of(const Image& image) { return {image.width, image.height}; }

Image scaled(const Image& image, double scale, const std::string& name) {
  const double width = std::max(1.0, std::round(image.width * scale));
  const double height = std::max(1.0, std::round(image.height * scale));
  if (std::max(width, height) > largest_side) {
    fail(Kind::invalid_argument, "--paste {}: {}x{} pixels after scaling; at most {} a side", name,
         width, height, largest_side);
  }
  return scale == 1 ? image : resize(image, static_cast<int>(width), static_cast<int>(height));
}

/// Pastes a cut-out and returns its opacity [height, width] on the picture.
at::Tensor paste_on(Image& picture, const std::string& text) {
  const Paste paste = parse_paste(text);
  const Image cutout = scaled(read_image(paste.file), paste.scale, text);
  const at::Tensor opacity = opacity_of_paste(picture, cutout, paste.x, paste.y);
  if (opacity.max().item<float>() == 0) {
    fail(
        Kind::invalid_argument,
        "--paste {}: nothing of the cut-out ({} after scaling) is seen on the picture ({}); choose "
        "X,Y within the picture",
        text, text_of(size_of(cutout)), text_of(size_of(picture)));
  }
  picture = pasted(picture, cutout, paste.x, paste.y);
  return opacity;
}

at::Tensor read_mask(const std::string& path, const Canvas& canvas) {
  const Image mask = read_image(path);
  if (size_of(mask) != size_of(canvas.picture)) {
    fail(Kind::invalid_argument, "the mask {} is {} and the picture {} {}; make them equal", path,
         text_of(size_of(mask)), canvas.name, text_of(size_of(canvas.picture)));
  }
  return mask_of(mask);
}

bool paints(const DiffusionModel& model, int width, int height) {
  try {
    model.latent_shape(1, width, height);
    return true;
  } catch (const Error&) {
    return false;
  }
}

/// The largest side up to this one that the model can paint; 0 where there is none nearby.
template <class Paints>
int rounded_down(int side, const Paints& can_paint) {
  for (int less = side; less > std::max(0, side - largest_factor); --less) {
    if (can_paint(less)) {
      return less;
    }
  }
  return 0;
}

/// The picture's size as the model can paint it.
Size paintable(const Canvas& canvas, const DiffusionModel& model) {
  const Size own = model.own_size(), all = size_of(canvas.picture);
  const Size size = {
      rounded_down(all.width, [&](int side) { return paints(model, side, own.height); }),
      rounded_down(all.height, [&](int side) { return paints(model, own.width, side); })};
  if (size.width == 0 || size.height == 0) {
    fail(Kind::invalid_argument,
         "{} is {}, which this model cannot paint; give a --size to edit it at, as --size {}",
         canvas.name, text_of(all), text_of(own));
  }
  if (size != all) {
    spdlog::warn("{} is {}; it is edited at {}, which the model can paint", canvas.name,
                 text_of(all), text_of(size));
  }
  const auto pixels = [](Size of) { return static_cast<double>(of.width) * of.height; };
  if (pixels(size) > many_pixels * pixels(own)) {
    spdlog::warn("the model was trained on pictures of {}; a smaller --size may look better",
                 text_of(own));
  }
  return size;
}

}  // namespace

std::optional<double> strength_of(const EditChoices& choices) {
  if (choices.strength == "auto") {
    return std::nullopt;
  }
  double strength = 0;
  try {
    parse_value("strength", choices.strength, strength);
  } catch (const Error&) {
    fail(Kind::invalid_argument, "--strength {}: expected a number from 0 to 1, or auto",
         choices.strength);
  }
  check_range("strength", strength, 0, 1);
  return strength;
}

Canvas read_canvas(const fs::path& picture, const EditRequest& request) {
  if (request.whole && (request.paste.empty() || !request.mask.empty())) {
    fail(Kind::invalid_argument,
         "--whole is for --paste without --mask: it paints beyond what is pasted");
  }
  Canvas canvas{.name = picture.filename().string(), .picture = read_image(picture)};
  at::Tensor region;
  for (const std::string& text : request.paste) {
    const at::Tensor opacity = paste_on(canvas.picture, text);
    region = region.defined() ? at::maximum(region, opacity) : opacity;
  }
  if (!request.mask.empty()) {
    canvas.mask = read_mask(request.mask, canvas);
  } else if (!request.paste.empty() && !request.whole) {
    const int side = std::min(canvas.picture.width, canvas.picture.height);
    canvas.mask = widened(region, std::max(1, side / margin_share));
  }
  return canvas;
}

void fit(EditRequest& request, Canvas& canvas, const DiffusionModel& model) {
  if (!request.size) {
    request.size = paintable(canvas, model);
  }
  const Image flat = flattened(canvas.picture);
  canvas.guide = *request.size == size_of(flat)
                     ? flat
                     : resize(flat, request.size->width, request.size->height);
}

PaintOptions editing_of(const EditRequest& request, const Canvas& canvas, double strength) {
  PaintOptions options = painting_of(request);
  options.eta = request.eta;
  options.guide = {.picture = picture_to_tensor(canvas.guide),
                   .strength = strength,
                   .mask = canvas.mask,
                   .repeats = request.repeats};
  return options;
}

Image finished(const Canvas& canvas, const Image& painted) {
  if (!canvas.mask.defined()) {
    return painted;
  }
  const Size size = size_of(canvas.picture);
  return blended(canvas.picture,
                 size_of(painted) == size ? painted : resize(painted, size.width, size.height),
                 canvas.mask);
}

double distance_from_guide(const Canvas& canvas, const std::vector<Image>& painted) {
  at::Tensor mask = canvas.mask;
  if (mask.defined()) {
    mask = at::adaptive_avg_pool2d(mask.unsqueeze(0).unsqueeze(0),
                                   {canvas.guide.height, canvas.guide.width})[0][0];
  }
  double sum = 0;
  for (const Image& image : painted) {
    sum += rms_difference(image, canvas.guide, mask);
  }
  return sum / static_cast<double>(painted.size());
}

double largest_strength(int steps, double limit, const std::function<double(double)>& distance_at) {
  // The least strength at which this many steps are run: rounded up, since it is rounded down
  // again.
  const auto strength_at = [&](int run) {
    return std::min(1.0, std::nextafter(static_cast<double>(run) / steps, 2.0));
  };
  int within = 0, beyond = steps + 1;
  double least = 0;
  while (beyond - within > 1) {
    const int run = std::midpoint(within, beyond);
    const double distance = distance_at(strength_at(run));
    if (distance <= limit) {
      within = run;
    } else {
      beyond = run;
      least = distance;
    }
  }
  if (within == 0) {
    fail(Kind::invalid_argument,
         "even strength {:.3g}, one step of {}, goes {:.3g} from the picture; raise --faithfulness "
         "above that, or take more steps",
         strength_at(1), steps, least);
  }
  return strength_at(within);
}

}  // namespace longhand
