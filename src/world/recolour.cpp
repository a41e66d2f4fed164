// Recolouring in OKLab (Ottosson 2020), where lightness and hue are apart as the eye has them.
#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numbers>

#include "core/error.h"
#include "world/sprites.h"

namespace longhand {
namespace {

struct Lab {
  float l, a, b;
};

float to_linear(float x) {
  return x <= 0.04045F ? x / 12.92F : std::pow((x + 0.055F) / 1.055F, 2.4F);
}

float to_srgb(float x) {
  x = std::clamp(x, 0.0F, 1.0F);
  return x <= 0.0031308F ? 12.92F * x : 1.055F * std::pow(x, 1 / 2.4F) - 0.055F;
}

Lab to_lab(const float* rgb) {
  const float r = to_linear(rgb[0]), g = to_linear(rgb[1]), b = to_linear(rgb[2]);
  const float l = std::cbrt(0.4122214708F * r + 0.5363325363F * g + 0.0514459929F * b);
  const float m = std::cbrt(0.2119034982F * r + 0.6806995451F * g + 0.1073969566F * b);
  const float s = std::cbrt(0.0883024619F * r + 0.2817188376F * g + 0.6299787005F * b);
  return {0.2104542553F * l + 0.7936177850F * m - 0.0040720468F * s,
          1.9779984951F * l - 2.4285922050F * m + 0.4505937099F * s,
          0.0259040371F * l + 0.7827717662F * m - 0.8086757660F * s};
}

std::array<float, 3> from_lab(const Lab& lab) {
  const auto cube = [](float x) { return x * x * x; };
  const float l = cube(lab.l + 0.3963377774F * lab.a + 0.2158037573F * lab.b);
  const float m = cube(lab.l - 0.1055613458F * lab.a - 0.0638541728F * lab.b);
  const float s = cube(lab.l - 0.0894841775F * lab.a - 1.2914855480F * lab.b);
  return {to_srgb(4.0767416621F * l - 3.3077115913F * m + 0.2309699292F * s),
          to_srgb(-1.2684380046F * l + 2.6097574011F * m - 0.3413193965F * s),
          to_srgb(-0.0041960863F * l - 0.7034186147F * m + 1.7076147010F * s)};
}

/// Lightness, chroma and hue (degrees) of a colour word.
struct Word {
  const char* name;
  float lightness, chroma, hue;
};
constexpr Word words[] = {
    {"red", 0.60F, 0.22F, 27},    {"orange", 0.74F, 0.17F, 58}, {"yellow", 0.88F, 0.17F, 98},
    {"green", 0.63F, 0.18F, 145}, {"blue", 0.56F, 0.19F, 258},  {"purple", 0.52F, 0.20F, 305},
    {"pink", 0.78F, 0.14F, 355},  {"brown", 0.45F, 0.08F, 55},  {"black", 0.27F, 0.01F, 0},
    {"white", 0.95F, 0.004F, 0},  {"gray", 0.65F, 0.004F, 0},
};

float ramp(float x, float low, float high) {
  return std::clamp((x - low) / (high - low), 0.0F, 1.0F);
}

float chroma_of(const Lab& lab) { return std::hypot(lab.a, lab.b); }

float hue_of(const Lab& lab) {
  const float degrees = std::atan2(lab.b, lab.a) * 180 / std::numbers::pi_v<float>;
  return degrees < 0 ? degrees + 360 : degrees;
}

float hue_distance(float a, float b) {
  const float d = std::abs(a - b);
  return std::min(d, 360 - d);
}

/// How much a colour is dark, gray, white or of a hue; the four sum to one.
struct Classes {
  float dark, gray, white, coloured;
};

Classes classes_of(const Lab& lab) {
  const float dark = 1 - ramp(lab.l, 0.26F, 0.36F);
  const float coloured = (1 - dark) * ramp(chroma_of(lab), 0.03F, 0.06F);
  const float white = (1 - dark - coloured) * ramp(lab.l, 0.84F, 0.92F);
  return {dark, 1 - dark - coloured - white, white, coloured};
}

constexpr float near_hue = 32, far_hue = 55;

float part_of(const Body& body, const Lab& lab) {
  const Classes classes = classes_of(lab);
  float nearest = 360;
  for (const float hue : body.hues) {
    nearest = std::min(nearest, hue_distance(hue, hue_of(lab)));
  }
  return (body.dark ? classes.dark : 0) + (body.gray ? classes.gray : 0) +
         (body.white ? classes.white : 0) +
         classes.coloured * (1 - ramp(nearest, near_hue, far_hue));
}

/// Calls each(pixel, colour, alpha) for what is not see-through.
template <class Pixels, class Each>
void for_each_pixel(Pixels& pixels, Each each) {
  for (std::size_t i = 0; i + 3 < pixels.size(); i += 4) {
    const float alpha = pixels[i + 3];
    if (alpha >= 0.02F) {
      const float plain[3] = {pixels[i] / alpha, pixels[i + 1] / alpha, pixels[i + 2] / alpha};
      each(&pixels[i], to_lab(plain), alpha);
    }
  }
}

struct Share {
  float area;
  int hue;  // of the cluster's middle, or one of the three below
};
constexpr int dark_share = -1, gray_share = -2, white_share = -3;

/// The hue around which the histogram has the most; takes that cluster out of it.
Share take_cluster(std::array<float, 36>& histogram) {
  Share best{0, 0};
  for (int middle = 0; middle < 36; ++middle) {
    float area = 0;
    for (int offset = -3; offset <= 3; ++offset) {
      area += histogram[(middle + offset + 36) % 36];
    }
    if (area > best.area) {
      best = {area, middle};
    }
  }
  for (int offset = -3; offset <= 3; ++offset) {
    histogram[(best.hue + offset + 36) % 36] = 0;
  }
  return {best.area, best.hue * 10 + 5};
}

}  // namespace

const std::vector<std::string>& colour_words() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (const Word& word : words) {
      list.emplace_back(word.name);
    }
    return list;
  }();
  return names;
}

Body find_body(const Sprite& sprite, double share) {
  std::array<float, 36> histogram{};
  float area = 0, dark = 0, gray = 0, white = 0;
  for_each_pixel(sprite.pixels, [&](const float*, const Lab& lab, float alpha) {
    const Classes classes = classes_of(lab);
    area += alpha;
    dark += alpha * classes.dark;
    gray += alpha * classes.gray;
    white += alpha * classes.white;
    histogram[static_cast<std::size_t>(hue_of(lab) / 10) % 36] += alpha * classes.coloured;
  });
  std::vector<Share> shares = {{dark, dark_share}, {gray, gray_share}, {white, white_share}};
  for (int i = 0; i < 4; ++i) {
    shares.push_back(take_cluster(histogram));
  }
  std::ranges::stable_sort(shares, std::greater{}, &Share::area);
  Body body;
  float covered = 0;
  for (const Share& each : shares) {
    if (covered >= static_cast<float>(share) * area) {
      break;
    }
    covered += each.area;
    if (each.hue >= 0) {
      body.hues.push_back(static_cast<float>(each.hue));
    }
    body.dark |= each.hue == dark_share;
    body.gray |= each.hue == gray_share;
    body.white |= each.hue == white_share;
  }
  float sum = 0, total = 1e-6F;
  for_each_pixel(sprite.pixels, [&](const float*, const Lab& lab, float alpha) {
    const float weight = alpha * part_of(body, lab);
    sum += weight * lab.l;
    total += weight;
  });
  body.lightness = sum / total;
  return body;
}

void recolour(Sprite& sprite, const Body& body, const std::string& colour) {
  const auto* word = std::ranges::find(words, colour, &Word::name);
  if (word == std::end(words)) {
    fail(Kind::invalid_argument, "{} is not one of the world's colours", colour);
  }
  const float hue = word->hue * std::numbers::pi_v<float> / 180;
  for_each_pixel(sprite.pixels, [&](float* pixel, const Lab& old, float alpha) {
    const float part = part_of(body, old);
    const float shade = 0.7F * (old.l - body.lightness);
    const float l = std::clamp(word->lightness + shade, 0.08F, 0.98F);
    const float c = word->chroma * (1 - 0.5F * ramp(l, 0.85F, 1.0F));
    const Lab blended = {old.l + part * (l - old.l), old.a + part * (c * std::cos(hue) - old.a),
                         old.b + part * (c * std::sin(hue) - old.b)};
    const auto rgb = from_lab(blended);
    for (int k = 0; k < 3; ++k) {
      pixel[k] = rgb[static_cast<std::size_t>(k)] * alpha;
    }
  });
}

}  // namespace longhand
