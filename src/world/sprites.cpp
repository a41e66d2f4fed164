#include "world/sprites.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace longhand {
namespace {

constexpr int master_size = 160;
constexpr int outline_width = 6;

Sprite from_image(const Image& image) {
  Sprite sprite{image.width, image.height, std::vector<float>(image.pixels.size())};
  for (std::size_t i = 0; i < image.pixels.size(); i += 4) {
    const float alpha = image.pixels[i + 3] / 255.0F;
    for (std::size_t c = 0; c < 3; ++c) {
      sprite.pixels[i + c] = image.pixels[i + c] / 255.0F * alpha;
    }
    sprite.pixels[i + 3] = alpha;
  }
  return sprite;
}

float alpha_at(const Sprite& sprite, int x, int y) {
  const bool inside = x >= 0 && y >= 0 && x < sprite.width && y < sprite.height;
  return inside ? sprite.pixels[(static_cast<std::size_t>(y) * sprite.width + x) * 4 + 3] : 0;
}

Sprite cropped(const Sprite& sprite) {
  int left = sprite.width, right = 0, top = sprite.height, bottom = 0;
  for (int y = 0; y < sprite.height; ++y) {
    for (int x = 0; x < sprite.width; ++x) {
      if (alpha_at(sprite, x, y) > 0.1F) {
        left = std::min(left, x);
        right = std::max(right, x + 1);
        top = std::min(top, y);
        bottom = std::max(bottom, y + 1);
      }
    }
  }
  Sprite result{std::max(1, right - left), std::max(1, bottom - top), {}};
  result.pixels.resize(static_cast<std::size_t>(result.width) * result.height * 4);
  for (int y = top; y < bottom; ++y) {
    const auto from = (static_cast<std::size_t>(y) * sprite.width + left) * 4;
    std::copy_n(sprite.pixels.begin() + from, static_cast<std::size_t>(result.width) * 4,
                result.pixels.begin() + static_cast<std::size_t>(y - top) * result.width * 4);
  }
  return result;
}

/// A dark contour around the silhouette: the alpha channel dilated by a disc, below the sprite.
Sprite outlined(const Sprite& sprite) {
  constexpr float ink[3] = {0.10F, 0.09F, 0.14F};
  const int r = outline_width;
  Sprite result{sprite.width + 2 * r, sprite.height + 2 * r, {}};
  result.pixels.resize(static_cast<std::size_t>(result.width) * result.height * 4);
  for (int y = 0; y < result.height; ++y) {
    for (int x = 0; x < result.width; ++x) {
      float around = 0;
      for (int dy = -r; dy <= r; ++dy) {
        for (int dx = -r; dx <= r; ++dx) {
          if (dx * dx + dy * dy <= r * r) {
            around = std::max(around, alpha_at(sprite, x - r + dx, y - r + dy));
          }
        }
      }
      float* pixel = &result.pixels[(static_cast<std::size_t>(y) * result.width + x) * 4];
      const float own = alpha_at(sprite, x - r, y - r);
      for (int c = 0; c < 3; ++c) {
        const float above =
            own > 0
                ? sprite.pixels[(static_cast<std::size_t>(y - r) * sprite.width + x - r) * 4 + c]
                : 0;
        pixel[c] = above + ink[c] * around * (1 - own);
      }
      pixel[3] = own + around * (1 - own);
    }
  }
  return result;
}

/// Area averaging: each pixel of the result is the mean of the box it covers.
Sprite resized(const Sprite& sprite, int width, int height) {
  Sprite result{width, height, std::vector<float>(static_cast<std::size_t>(width) * height * 4)};
  const float step_x = static_cast<float>(sprite.width) / width;
  const float step_y = static_cast<float>(sprite.height) / height;
  for (int y = 0; y < height; ++y) {
    const int y0 = static_cast<int>(y * step_y);
    const int y1 = std::clamp(static_cast<int>(std::lround((y + 1) * step_y)), y0 + 1, sprite.height);
    for (int x = 0; x < width; ++x) {
      const int x0 = static_cast<int>(x * step_x);
      const int x1 =
          std::clamp(static_cast<int>(std::lround((x + 1) * step_x)), x0 + 1, sprite.width);
      float* into = &result.pixels[(static_cast<std::size_t>(y) * width + x) * 4];
      for (int v = y0; v < y1; ++v) {
        for (int u = x0; u < x1; ++u) {
          const float* from = &sprite.pixels[(static_cast<std::size_t>(v) * sprite.width + u) * 4];
          for (int c = 0; c < 4; ++c) {
            into[c] += from[c];
          }
        }
      }
      for (int c = 0; c < 4; ++c) {
        into[c] /= static_cast<float>((y1 - y0) * (x1 - x0));
      }
    }
  }
  return result;
}

}  // namespace

SpriteSet::SpriteSet() : styles_{"shaded", "flat", "bold outline"} {
  for (const char* style : {"shaded", "flat"}) {
    const fs::path path = home() / "data" / "sprites" / (std::string(style) + ".json");
    const auto json = nlohmann::json::parse(read_file(path), nullptr, false);
    if (!json.is_object() || !json.contains("sprites")) {
      fail(Kind::corrupt, "{}: expected JSON with \"sprites\"; setup/sprites.py writes it",
           path.string());
    }
    for (const auto& [thing, entry] : json["sprites"].items()) {
      const auto svg = entry.at("svg").get<std::string>();
      kinds_[thing] = entry.at("kind").get<std::string>();
      masters_[style][thing] = cropped(from_image(rasterize_svg(svg, master_size, master_size)));
    }
  }
  for (const auto& [thing, sprite] : masters_["flat"]) {
    masters_["bold outline"][thing] = outlined(sprite);
    things_.push_back(thing);
  }
}

Sprite SpriteSet::drawn(const std::string& thing, const std::string& style,
                        const std::string& colour, int height, int max_width) const {
  const Sprite& master = masters_.at(style).at(thing);
  double scale = static_cast<double>(height) / master.height;
  scale = std::min(scale, static_cast<double>(max_width) / master.width);
  Sprite sprite = resized(master, std::max(2, static_cast<int>(std::lround(master.width * scale))),
                          std::max(2, static_cast<int>(std::lround(master.height * scale))));
  if (!colour.empty()) {
    recolour(sprite, colour);
  }
  return sprite;
}

}  // namespace longhand
