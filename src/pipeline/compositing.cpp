#include "pipeline/compositing.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <vector>

#include "core/error.h"
#include "core/fields.h"

namespace longhand {
namespace {

using at::Tensor;

/// [height, width, channels] in 0…255, float32.
Tensor planes(const Image& image) {
  auto* pixels = const_cast<std::uint8_t*>(image.pixels.data());
  return at::from_blob(pixels, {image.height, image.width, image.channels}, at::kByte)
      .to(at::kFloat);
}

Image image_of(const Tensor& planes) {
  const Tensor bytes = planes.clamp(0, 255).round().to(at::kByte).contiguous();
  Image image(static_cast<int>(bytes.size(1)), static_cast<int>(bytes.size(0)),
              static_cast<int>(bytes.size(2)));
  std::memcpy(image.pixels.data(), bytes.const_data_ptr<std::uint8_t>(), image.pixels.size());
  return image;
}

Tensor colours(const Tensor& planes) { return planes.slice(2, 0, 3); }

/// [height, width, 1] in 0…1; 1 for RGB.
Tensor alpha(const Tensor& planes) {
  return planes.size(2) == 4 ? planes.slice(2, 3) / 255 : at::ones_like(planes.slice(2, 0, 1));
}

/// Where a cut-out and a picture overlap: its corner in both, and its size.
struct Overlap {
  std::int64_t x, y, cutout_x, cutout_y, width, height;

  Overlap(const Image& picture, const Image& cutout, std::int64_t left, std::int64_t top)
      : x(std::max<std::int64_t>(left, 0)),
        y(std::max<std::int64_t>(top, 0)),
        cutout_x(x - left),
        cutout_y(y - top),
        width(std::min<std::int64_t>(picture.width, left + cutout.width) - x),
        height(std::min<std::int64_t>(picture.height, top + cutout.height) - y) {}
  bool empty() const { return width <= 0 || height <= 0; }
  Tensor of_picture(const Tensor& planes) const {
    return planes.narrow(0, y, height).narrow(1, x, width);
  }
  Tensor of_cutout(const Tensor& planes) const {
    return planes.narrow(0, cutout_y, height).narrow(1, cutout_x, width);
  }
};

}  // namespace

Paste parse_paste(const std::string& text) {
  const auto at = text.rfind('@');
  if (at == std::string::npos || at == 0) {
    fail(Kind::invalid_argument,
         "--paste {}: expected FILE@X,Y,SCALE, as in cat.png@40,60,0.5 (SCALE may be left out)",
         text);
  }
  std::vector<std::string> numbers = {""};
  for (const char c : text.substr(at + 1)) {
    c == ',' ? static_cast<void>(numbers.emplace_back()) : numbers.back().push_back(c);
  }
  if (numbers.size() != 2 && numbers.size() != 3) {
    fail(Kind::invalid_argument,
         "--paste {}: {} numbers after the @; expected X,Y or X,Y,SCALE, as in cat.png@40,60,0.5",
         text, numbers.size());
  }
  Paste paste{.file = text.substr(0, at)};
  parse_value("paste", numbers[0], paste.x);
  parse_value("paste", numbers[1], paste.y);
  if (numbers.size() == 3) {
    parse_value("paste", numbers[2], paste.scale);
  }
  check_range("the scale of --paste", paste.scale, 0.001, 1000);
  return paste;
}

Image flattened(const Image& image) {
  if (image.channels == 3) {
    return image;
  }
  const Tensor all = planes(image);
  return image_of(255 + alpha(all) * (colours(all) - 255));
}

Image pasted(const Image& picture, const Image& cutout, int x, int y) {
  const Overlap overlap(picture, cutout, x, y);
  if (overlap.empty()) {
    return picture;
  }
  Tensor result = planes(picture);
  Tensor under = overlap.of_picture(result);
  const Tensor over = overlap.of_cutout(planes(cutout));
  const Tensor part = alpha(over);
  const Tensor below = alpha(under) * (1 - part);
  const Tensor whole = part + below;
  Tensor mixed = (part * colours(over) + below * colours(under)) / whole;
  if (picture.channels == 4) {
    mixed = at::cat({mixed, whole * 255}, 2);
  }
  under.copy_(at::where(part == 0, under, mixed));
  return image_of(result);
}

Tensor opacity_of_paste(const Image& picture, const Image& cutout, int x, int y) {
  Tensor opacity = at::zeros({picture.height, picture.width}, at::kFloat);
  const Overlap overlap(picture, cutout, x, y);
  if (!overlap.empty()) {
    overlap.of_picture(opacity).copy_(overlap.of_cutout(alpha(planes(cutout)).squeeze(2)));
  }
  return opacity;
}

Tensor widened(const Tensor& region, int margin) {
  const std::int64_t side = 2 * margin + 1;
  const Tensor inside = (region > 0).to(at::kFloat).unsqueeze(0).unsqueeze(0);
  // Pooled along one side after the other, a square costs as much as two lines.
  const Tensor dilated = at::max_pool2d(at::max_pool2d(inside, {1, side}, {1, 1}, {0, margin}),
                                        {side, 1}, {1, 1}, {margin, 0});
  const auto mean = [](const Tensor& x, at::IntArrayRef size, at::IntArrayRef padding) {
    return at::avg_pool2d(x, size, {1, 1}, padding, false, /*count_include_pad=*/false);
  };
  return mean(mean(dilated, {1, side}, {0, margin}), {side, 1}, {margin, 0})[0][0].clamp(0, 1);
}

Tensor mask_of(const Image& mask) {
  const Tensor all = planes(mask);
  // ITU-R 601 in 16 bits of fraction, whose weights add up to one.
  const Tensor lightness =
      (all.select(2, 0) * 19595 + all.select(2, 1) * 38470 + all.select(2, 2) * 7471 + 32768)
          .div(65536)
          .floor();
  return lightness / 255 * alpha(all).squeeze(2);
}

Image blended(const Image& picture, const Image& painted, const Tensor& mask) {
  const Tensor before = planes(picture);
  Tensor after = planes(painted);
  if (picture.channels == 4) {
    after = at::cat({after, at::full_like(after.slice(2, 0, 1), 255)}, 2);
  }
  return image_of(before + mask.unsqueeze(2) * (after - before));
}

double rms_difference(const Image& one, const Image& other, const Tensor& mask) {
  const Tensor squares = (planes(one) - planes(other)).div(255).square().mean(2);
  if (!mask.defined()) {
    return std::sqrt(squares.mean(at::kDouble).item<double>());
  }
  const double weight = mask.sum(at::kDouble).item<double>();
  return weight == 0 ? 0 : std::sqrt((squares * mask).sum(at::kDouble).item<double>() / weight);
}

}  // namespace longhand
