#include "world/sprites.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "nn/parallel.h"

namespace longhand {
namespace {

constexpr int master_size = 192;

/// A style's file under data/sprites; bold outlines are drawn around the flat sprites.
struct StyleFile {
  const char* style;
  const char* file;
  bool outlined;
  /// Of a sprite, what its body makes up at least: more where light colours a body in many hues.
  double body_share;
};
constexpr StyleFile style_files[] = {{"shaded", "noto.json", false, 0.45},
                                     {"flat", "fluent_flat.json", false, 0.45},
                                     {"bold outline", "fluent_flat.json", true, 0.45},
                                     {"3D", "fluent_3d.json", false, 0.62}};

const StyleFile& file_of(const std::string& style) {
  const auto* found = std::ranges::find(style_files, style, &StyleFile::style);
  if (found == std::end(style_files)) {
    fail(Kind::invalid_argument, "{} is not one of the styles that things are drawn in", style);
  }
  return *found;
}

nlohmann::json parsed(const fs::path& path) {
  try {
    return nlohmann::json::parse(read_file(path));
  } catch (const nlohmann::json::exception& error) {
    fail(Kind::corrupt, "{}: {}", path.string(), error.what());
  }
}

Sprite from_image(const Image& image) {
  Sprite sprite(image.width, image.height);
  for (std::size_t i = 0; i < image.pixels.size(); i += 4) {
    const float alpha = image.pixels[i + 3] / 255.0F;
    for (std::size_t c = 0; c < 3; ++c) {
      sprite.pixels[i + c] = image.pixels[i + c] / 255.0F * alpha;
    }
    sprite.pixels[i + 3] = alpha;
  }
  return sprite;
}

Sprite cropped(const Sprite& sprite) {
  int left = sprite.width, right = 0, top = sprite.height, bottom = 0;
  for (int y = 0; y < sprite.height; ++y) {
    for (int x = 0; x < sprite.width; ++x) {
      if (sprite.at(x, y)[3] > 0.1F) {
        left = std::min(left, x);
        right = std::max(right, x + 1);
        top = std::min(top, y);
        bottom = std::max(bottom, y + 1);
      }
    }
  }
  if (left >= right) {
    return {};
  }
  Sprite result(right - left, bottom - top);
  for (int y = 0; y < result.height; ++y) {
    std::copy_n(sprite.at(left, top + y), result.width * 4, result.at(0, y));
  }
  return result;
}

/// The highest point of the middle quarter, below the upper edge.
double resting_point(const Sprite& sprite) {
  for (int y = 0; y < sprite.height; ++y) {
    for (int x = sprite.width * 3 / 8; x < sprite.width * 5 / 8; ++x) {
      if (sprite.at(x, y)[3] > 0.5F) {
        return static_cast<double>(y) / sprite.height;
      }
    }
  }
  return 0;
}

/// Area averaging along one axis: a line of `from` pixels becomes one of `to`.
void average_line(const float* in, std::size_t in_step, int from, float* out, std::size_t out_step,
                  int to) {
  const double scale = static_cast<double>(from) / to;
  for (int i = 0; i < to; ++i) {
    const double begin = i * scale, end = std::min<double>(from, (i + 1) * scale);
    float sum[4] = {};
    for (int j = static_cast<int>(begin); j < from && j < end; ++j) {
      const auto share =
          static_cast<float>(std::min<double>(j + 1, end) - std::max<double>(j, begin));
      for (int c = 0; c < 4; ++c) {
        sum[c] += share * in[static_cast<std::size_t>(j) * in_step + c];
      }
    }
    for (int c = 0; c < 4; ++c) {
      out[static_cast<std::size_t>(i) * out_step + c] = sum[c] / static_cast<float>(end - begin);
    }
  }
}

Sprite resized(const Sprite& sprite, int width, int height) {
  Sprite narrow(width, sprite.height), result(width, height);
  for (int y = 0; y < sprite.height; ++y) {
    average_line(sprite.at(0, y), 4, sprite.width, narrow.at(0, y), 4, width);
  }
  const auto row = static_cast<std::size_t>(width) * 4;
  for (int x = 0; x < width; ++x) {
    average_line(narrow.at(x, 0), row, sprite.height, result.at(x, 0), row, height);
  }
  return result;
}

double outline_radius(int width, int height) { return 0.7 + 0.018 * std::max(width, height); }

/// A dark contour around the silhouette, `margin` pixels added on each side: the alpha channel
/// dilated by a disc, below the sprite.
Sprite outlined(const Sprite& sprite, double radius, int margin) {
  constexpr float ink[3] = {0.10F, 0.09F, 0.14F};
  Sprite result(sprite.width + 2 * margin, sprite.height + 2 * margin);
  for (int y = 0; y < sprite.height; ++y) {
    for (int x = 0; x < sprite.width; ++x) {
      const float alpha = sprite.at(x, y)[3];
      if (alpha < 0.02F) {
        continue;
      }
      for (int dy = -margin; dy <= margin; ++dy) {
        for (int dx = -margin; dx <= margin; ++dx) {
          const double near = std::clamp(radius + 0.5 - std::hypot(dx, dy), 0.0, 1.0);
          float& reached = result.at(x + margin + dx, y + margin + dy)[3];
          reached = std::max(reached, alpha * static_cast<float>(near));
        }
      }
    }
  }
  for (int y = 0; y < result.height; ++y) {
    for (int x = 0; x < result.width; ++x) {
      const int from_x = x - margin, from_y = y - margin;
      const bool inside =
          from_x >= 0 && from_y >= 0 && from_x < sprite.width && from_y < sprite.height;
      static constexpr float nothing[4] = {};
      const float* above = inside ? sprite.at(from_x, from_y) : nothing;
      float* pixel = result.at(x, y);
      const float contour = pixel[3] * (1 - above[3]);
      for (int c = 0; c < 3; ++c) {
        pixel[c] = above[c] + ink[c] * contour;
      }
      pixel[3] = above[3] + contour;
    }
  }
  return result;
}

/// A style's drawings: SVG, or cells of one picture, and those of the project's own.
class SpriteSource {
 public:
  explicit SpriteSource(const std::string& style)
      : style_(style),
        path_(home() / "data" / "sprites" / file_of(style).file),
        set_(parsed(path_)),
        own_(parsed(path_.parent_path() / "own.json")) {
    if (set_.contains("picture")) {
      rendered_ = read_image(path_.parent_path() / field<std::string>(set_, "picture"));
    }
  }

  std::string kind(const std::string& thing) const {
    return field<std::string>(entry(thing), "kind");
  }

  Sprite picture(const std::string& thing) const {
    Sprite sprite = cropped(from_image(image(thing)));
    if (sprite.width == 0) {
      fail(Kind::corrupt, "{}: the picture of {} is empty", path_.string(), thing);
    }
    return sprite;
  }

 private:
  const nlohmann::json& entry(const std::string& thing) const {
    for (const nlohmann::json* set : {&set_, &own_}) {
      const auto sprites = set->find("sprites");
      if (sprites != set->end() && sprites->contains(thing)) {
        return sprites->at(thing);
      }
    }
    fail(Kind::corrupt, "{} has no {}; setup/sprites.py writes it", path_.string(), thing);
  }

  template <class Value>
  Value field(const nlohmann::json& from, const char* name) const {
    try {
      return from.at(name).get<Value>();
    } catch (const nlohmann::json::exception& error) {
      fail(Kind::corrupt, "{}: expected what setup/sprites.py writes: {}", path_.string(),
           error.what());
    }
  }

  /// RGBA, master_size a side.
  Image image(const std::string& thing) const {
    const nlohmann::json& about = entry(thing);
    if (!about.contains("svg")) {
      return resize(cell(field<int>(about, "cell")), master_size, master_size);
    }
    const bool own = about.at("svg").is_object();
    const char* source_style = file_of(style_).outlined ? "flat" : file_of(style_).style;
    return rasterize_svg(
        own ? field<std::string>(about.at("svg"), source_style) : field<std::string>(about, "svg"),
        master_size, master_size);
  }

  Image cell(int number) const {
    const int side = field<int>(set_, "cell"), columns = field<int>(set_, "columns");
    const bool sound = side > 0 && columns > 0 && number >= 0 && rendered_.channels == 4;
    const int left = sound ? number % columns * side : 0, top = sound ? number / columns * side : 0;
    if (!sound || left + side > rendered_.width || top + side > rendered_.height) {
      fail(Kind::corrupt, "{}: cell {} lies beyond its picture", path_.string(), number);
    }
    Image image(side, side, 4);
    const auto row = static_cast<std::size_t>(side) * 4;
    for (int y = 0; y < side; ++y) {
      std::copy_n(
          &rendered_.pixels[(static_cast<std::size_t>(top + y) * rendered_.width + left) * 4], row,
          &image.pixels[static_cast<std::size_t>(y) * row]);
    }
    return image;
  }

  std::string style_;
  fs::path path_;
  nlohmann::json set_, own_;
  Image rendered_;
};

}  // namespace

Image cutout_of(const Sprite& sprite) {
  Image image(sprite.width, sprite.height, 4);
  for (std::size_t i = 0; i < sprite.pixels.size(); i += 4) {
    const float alpha = sprite.pixels[i + 3];
    for (std::size_t c = 0; c < 3; ++c) {
      const float value = alpha > 0 ? sprite.pixels[i + c] / alpha : 0;
      image.pixels[i + c] =
          static_cast<std::uint8_t>(std::lround(255 * std::clamp(value, 0.0F, 1.0F)));
    }
    image.pixels[i + 3] =
        static_cast<std::uint8_t>(std::lround(255 * std::clamp(alpha, 0.0F, 1.0F)));
  }
  return image;
}

SpriteSet::SpriteSet(const std::vector<std::string>& things, std::vector<std::string> styles)
    : styles_(std::move(styles)) {
  for (const std::string& style : styles_) {
    if (!masters_.contains(file_of(style).file)) {
      load(style, things);
    }
  }
}

void SpriteSet::load(const std::string& style, const std::vector<std::string>& things) {
  const SpriteSource source(style);
  std::map<std::string, Master>& masters = masters_[file_of(style).file];
  std::vector<std::pair<const std::string*, Master*>> wanted;
  for (const std::string& thing : things) {
    kinds_[thing] = source.kind(thing);
    wanted.emplace_back(&thing, &masters[thing]);
  }
  parallel_for(static_cast<std::int64_t>(wanted.size()), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const auto& [thing, into] = wanted[static_cast<std::size_t>(i)];
      Sprite sprite = source.picture(*thing);
      const Body body = find_body(sprite, file_of(style).body_share);
      const double rest = resting_point(sprite);
      *into = {std::move(sprite), body, rest};
    }
  });
}

const std::string& SpriteSet::kind(const std::string& thing) const {
  const auto found = kinds_.find(thing);
  if (found == kinds_.end()) {
    fail(Kind::invalid_argument,
         "{} is not one of the world's things; longhand world --list names them", thing);
  }
  return found->second;
}

const SpriteSet::Master& SpriteSet::master(const std::string& thing,
                                           const std::string& style) const {
  if (std::ranges::find(styles_, style) == styles_.end()) {
    fail(Kind::invalid_argument, "{} is not one of the world's styles", style);
  }
  kind(thing);  // throws for what is not there
  return masters_.at(file_of(style).file).at(thing);
}

double SpriteSet::aspect(const std::string& thing, const std::string& style) const {
  const Sprite& sprite = master(thing, style).sprite;
  return static_cast<double>(sprite.width) / sprite.height;
}

double SpriteSet::rest(const std::string& thing, const std::string& style) const {
  return master(thing, style).rest;
}

Sprite SpriteSet::drawn(const std::string& thing, const std::string& style,
                        const std::string& colour, int width, int height) const {
  const Master& from = master(thing, style);
  const double radius = outline_radius(width, height);
  const int margin = file_of(style).outlined ? static_cast<int>(std::ceil(radius)) : 0;
  Sprite sprite =
      resized(from.sprite, std::max(2, width - 2 * margin), std::max(2, height - 2 * margin));
  if (!colour.empty()) {
    recolour(sprite, from.body, colour);
  }
  return margin > 0 ? outlined(sprite, radius, margin) : sprite;
}

}  // namespace longhand
