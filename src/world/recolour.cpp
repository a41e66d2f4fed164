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
    {"red", 0.60F, 0.22F, 27},    {"orange", 0.74F, 0.17F, 58},  {"yellow", 0.88F, 0.17F, 98},
    {"green", 0.63F, 0.18F, 145}, {"blue", 0.56F, 0.19F, 258},   {"purple", 0.52F, 0.20F, 305},
    {"pink", 0.78F, 0.14F, 355},  {"brown", 0.45F, 0.08F, 55},   {"black", 0.27F, 0.01F, 0},
    {"white", 0.95F, 0.004F, 0},  {"gray", 0.65F, 0.004F, 0},
};

float ramp(float x, float low, float high) {
  return std::clamp((x - low) / (high - low), 0.0F, 1.0F);
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

void recolour(Sprite& sprite, const std::string& colour) {
  const auto* word = std::ranges::find(words, colour, &Word::name);
  if (word == std::end(words)) {
    fail(Kind::invalid_argument, "{} is not one of the world's colours", colour);
  }
  const std::size_t count = sprite.pixels.size() / 4;
  std::vector<Lab> labs(count);
  float area = 0, dark_area = 0, white_area = 0;
  const auto chroma = [](const Lab& lab) { return std::hypot(lab.a, lab.b); };
  for (std::size_t i = 0; i < count; ++i) {
    const float* p = &sprite.pixels[i * 4];
    const float alpha = p[3];
    if (alpha < 0.02F) {
      continue;
    }
    const float plain[3] = {p[0] / alpha, p[1] / alpha, p[2] / alpha};
    labs[i] = to_lab(plain);
    area += alpha;
    dark_area += labs[i].l < 0.35F ? alpha : 0;
    white_area += labs[i].l > 0.86F && chroma(labs[i]) < 0.05F ? alpha : 0;
  }
  const bool dark_body = dark_area > 0.45F * area, white_body = white_area > 0.3F * area;
  const auto weight = [&](const Lab& lab) {
    float w = 1;
    if (!dark_body) {
      w *= ramp(lab.l, 0.25F, 0.40F);
    }
    if (!white_body && chroma(lab) < 0.05F) {
      w *= 1 - ramp(lab.l, 0.82F, 0.90F);
    }
    return w;
  };
  float mean = 0, total = 1e-6F;
  for (std::size_t i = 0; i < count; ++i) {
    const float alpha = sprite.pixels[i * 4 + 3];
    const float w = alpha < 0.02F ? 0 : weight(labs[i]) * alpha;
    mean += w * labs[i].l;
    total += w;
  }
  mean /= total;
  const float hue = word->hue * std::numbers::pi_v<float> / 180;
  for (std::size_t i = 0; i < count; ++i) {
    float* p = &sprite.pixels[i * 4];
    if (p[3] < 0.02F) {
      continue;
    }
    const Lab& old = labs[i];
    const float w = weight(old);
    const float l = std::clamp(word->lightness + 0.7F * (old.l - mean), 0.08F, 0.98F);
    const float c = word->chroma * (1 - 0.5F * ramp(l, 0.85F, 1.0F));
    const Lab blended = {old.l + w * (l - old.l), old.a + w * (c * std::cos(hue) - old.a),
                         old.b + w * (c * std::sin(hue) - old.b)};
    const auto rgb = from_lab(blended);
    for (int k = 0; k < 3; ++k) {
      p[k] = rgb[k] * p[3];
    }
  }
}

}  // namespace longhand
