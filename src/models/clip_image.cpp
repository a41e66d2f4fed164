#include "models/clip_image.h"

#include <algorithm>

#include "core/error.h"
#include "models/config.h"

namespace longhand {
namespace {

/// [1, 3, height, width] bytes, transparent places on white.
at::Tensor bytes_on_white(const Image& image) {
  auto* pixels = const_cast<std::uint8_t*>(image.pixels.data());
  const at::Tensor bytes =
      at::from_blob(pixels, {image.height, image.width, image.channels}, at::kByte)
          .permute({2, 0, 1});
  at::Tensor colours = bytes.slice(0, 0, 3);
  if (image.channels == 4) {
    const at::Tensor alpha = bytes.slice(0, 3, 4).to(at::kFloat) / 255;
    colours = (colours.to(at::kFloat) * alpha + 255 * (1 - alpha)).round().to(at::kByte);
  }
  return colours.contiguous().unsqueeze(0);
}

/// A size as a number, or as an object whose `sides` are equal.
int read_size(const nlohmann::json& config, const char* name, int fallback,
              std::initializer_list<const char*> sides) {
  const auto found = config.find(name);
  if (found == config.end() || !found->is_object()) {
    return config_value(config, name, fallback);
  }
  std::optional<int> size;
  for (const char* side : sides) {
    const int value = config_value(*found, side, 0);
    if (value != size.value_or(value)) {
      fail_config(name, *found);
    }
    size = value;
  }
  return size.value_or(0);
}

}  // namespace

CLIPImageProcessor CLIPImageProcessor::from_json(const nlohmann::json& config) {
  constexpr int bicubic = 3;  // PIL.Image.Resampling
  refuse_other_values(config, "the image processor",
                      {{"do_resize", true},
                       {"do_center_crop", true},
                       {"do_rescale", true},
                       {"do_normalize", true},
                       {"rescale_factor", 1.0 / 255},
                       {"resample", bicubic}});
  CLIPImageProcessor c;
  c.size = read_size(config, "size", c.size, {"shortest_edge"});
  c.crop_size = read_size(config, "crop_size", c.crop_size, {"height", "width"});
  c.image_mean = config_value(config, "image_mean", c.image_mean);
  c.image_std = config_value(config, "image_std", c.image_std);
  constexpr int most = 4096;
  if (c.crop_size < 1 || c.size < c.crop_size || c.size > most) {
    fail(Kind::corrupt,
         "the image processor cuts {} pixels out of {}; expected 1 <= crop_size <= "
         "size <= {}",
         c.crop_size, c.size, most);
  }
  if (c.image_mean.size() != 3 || c.image_std.size() != 3) {
    fail(Kind::corrupt, "image_mean has {} values and image_std {}; expected 3 each",
         c.image_mean.size(), c.image_std.size());
  }
  return c;
}

at::Tensor CLIPImageProcessor::pixel_values(const Image& image) const {
  constexpr std::int64_t narrowest = 64;
  const std::int64_t shorter = std::min(image.width, image.height);
  const std::int64_t longer = std::max(image.width, image.height);
  if (shorter < 1 || longer > narrowest * shorter) {
    fail(Kind::invalid_argument,
         "a picture of {}x{} pixels is too narrow for the image encoder; expected at most {} times "
         "as long as wide",
         image.width, image.height, narrowest);
  }
  const auto resized = [&](std::int64_t side) { return size * side / shorter; };
  const std::int64_t height = resized(image.height), width = resized(image.width);
  const std::int64_t top = (height - crop_size) / 2, left = (width - crop_size) / 2;
  const at::Tensor values =
      at::_upsample_bicubic2d_aa(bytes_on_white(image), {height, width}, false)
          .squeeze(0)
          .slice(1, top, top + crop_size)
          .slice(2, left, left + crop_size)
          .to(at::kFloat);
  const auto per_channel = [](const std::vector<double>& numbers) {
    return at::tensor(numbers, at::kFloat).view({3, 1, 1});
  };
  return (values / 255 - per_channel(image_mean)) / per_channel(image_std);
}

}  // namespace longhand
