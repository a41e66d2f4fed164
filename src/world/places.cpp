#include "world/places.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace longhand {
namespace {

struct Colour {
  float r, g, b;
};

Colour mix(const Colour& a, const Colour& b, float t) {
  return {a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t, a.b + (b.b - a.b) * t};
}

void blend(Canvas& canvas, int x, int y, const Colour& colour, float alpha) {
  if (x < 0 || y < 0 || x >= canvas.size || y >= canvas.size) {
    return;
  }
  float* p = &canvas.pixels[(static_cast<std::size_t>(y) * canvas.size + x) * 3];
  p[0] += (colour.r - p[0]) * alpha;
  p[1] += (colour.g - p[1]) * alpha;
  p[2] += (colour.b - p[2]) * alpha;
}

/// A vertical gradient between two heights (shares of the picture).
void gradient(Canvas& canvas, double from, double to, const Colour& top, const Colour& bottom) {
  const int y0 = static_cast<int>(from * canvas.size), y1 = static_cast<int>(to * canvas.size);
  for (int y = y0; y < y1; ++y) {
    const Colour colour = mix(top, bottom, static_cast<float>(y - y0) / std::max(1, y1 - y0 - 1));
    for (int x = 0; x < canvas.size; ++x) {
      blend(canvas, x, y, colour, 1);
    }
  }
}

/// An ellipse with a soft edge; all in shares of the picture.
void ellipse(Canvas& canvas, double cx, double cy, double rx, double ry, const Colour& colour,
             double alpha, double softness = 0.15) {
  const double n = canvas.size;
  for (int y = static_cast<int>((cy - ry * 1.3) * n); y <= (cy + ry * 1.3) * n; ++y) {
    for (int x = static_cast<int>((cx - rx * 1.3) * n); x <= (cx + rx * 1.3) * n; ++x) {
      const double dx = (x + 0.5 - cx * n) / (rx * n), dy = (y + 0.5 - cy * n) / (ry * n);
      const double inside = (1 + softness - std::sqrt(dx * dx + dy * dy)) / (2 * softness);
      if (inside > 0) {
        blend(canvas, x, y, colour, static_cast<float>(alpha * std::min(1.0, inside)));
      }
    }
  }
}

void rectangle(Canvas& canvas, double x0, double y0, double x1, double y1, const Colour& colour) {
  for (int y = static_cast<int>(y0 * canvas.size); y < static_cast<int>(y1 * canvas.size); ++y) {
    for (int x = static_cast<int>(x0 * canvas.size); x < static_cast<int>(x1 * canvas.size); ++x) {
      blend(canvas, x, y, colour, 1);
    }
  }
}

/// A triangle standing on `base`, its tip at (cx, top).
void peak(Canvas& canvas, double cx, double top, double base, double half_width,
          const Colour& colour) {
  const double n = canvas.size;
  for (int y = static_cast<int>(top * n); y < static_cast<int>(base * n); ++y) {
    const double half = half_width * (y / n - top) / (base - top);
    for (int x = static_cast<int>((cx - half) * n); x < static_cast<int>((cx + half) * n); ++x) {
      blend(canvas, x, y, colour, 1);
    }
  }
}

void clouds(Canvas& canvas, Random& random) {
  for (int i = random.below(3); i > 0; --i) {
    const double x = random.uniform(0.05, 0.95), y = random.uniform(0.08, 0.25);
    for (const double offset : {-0.07, 0.0, 0.07}) {
      ellipse(canvas, x + offset, y - (offset == 0 ? 0.02 : 0), 0.07, 0.035, {1, 1, 1}, 0.75, 0.3);
    }
  }
}

constexpr Colour day_top{0.45F, 0.72F, 0.95F}, day_low{0.80F, 0.92F, 0.99F};

void meadow(Canvas& canvas, Random& random) {
  gradient(canvas, 0, 0.62, day_top, day_low);
  clouds(canvas, random);
  gradient(canvas, 0.62, 1, {0.55F, 0.80F, 0.36F}, {0.30F, 0.60F, 0.22F});
}

void beach(Canvas& canvas, Random& random) {
  gradient(canvas, 0, 0.45, day_top, day_low);
  clouds(canvas, random);
  gradient(canvas, 0.45, 0.62, {0.10F, 0.48F, 0.72F}, {0.25F, 0.68F, 0.80F});
  gradient(canvas, 0.62, 1, {0.98F, 0.90F, 0.70F}, {0.91F, 0.77F, 0.52F});
}

void snow(Canvas& canvas, Random& random) {
  gradient(canvas, 0, 0.62, {0.66F, 0.76F, 0.88F}, {0.85F, 0.90F, 0.96F});
  gradient(canvas, 0.62, 1, {0.98F, 0.99F, 1}, {0.86F, 0.91F, 0.97F});
  for (int i = 0; i < 24; ++i) {
    ellipse(canvas, random.uniform(), random.uniform(0, 0.62), 0.012, 0.012, {1, 1, 1}, 0.95);
  }
}

void stars(Canvas& canvas, Random& random) {
  for (int i = 0; i < 26; ++i) {
    const double r = random.uniform(0.006, 0.012);
    ellipse(canvas, random.uniform(), random.uniform(0, 0.66), r, r, {1, 0.98F, 0.85F}, 0.95);
  }
}

void night(Canvas& canvas, Random& random) {
  gradient(canvas, 0, 0.72, {0.04F, 0.05F, 0.20F}, {0.16F, 0.18F, 0.42F});
  stars(canvas, random);
  gradient(canvas, 0.72, 1, {0.10F, 0.20F, 0.24F}, {0.05F, 0.12F, 0.15F});
}

void sea(Canvas& canvas, Random& random) {
  gradient(canvas, 0, 0.86, {0.25F, 0.72F, 0.86F}, {0.03F, 0.30F, 0.55F});
  gradient(canvas, 0.86, 1, {0.80F, 0.75F, 0.55F}, {0.66F, 0.60F, 0.42F});
  for (int i = 0; i < 9; ++i) {
    const double r = random.uniform(0.01, 0.02);
    ellipse(canvas, random.uniform(), random.uniform(0.05, 0.8), r, r, {0.85F, 0.97F, 1}, 0.7);
  }
}

void street(Canvas& canvas, Random& random) {
  gradient(canvas, 0, 0.64, {0.60F, 0.76F, 0.90F}, {0.88F, 0.92F, 0.95F});
  for (double x = 0; x < 1; x += 0.2) {
    const double top = random.uniform(0.18, 0.38);
    const auto tone = static_cast<float>(random.uniform(0.52, 0.68));
    rectangle(canvas, x, top, x + 0.19, 0.64, {tone, tone * 0.97F, tone});
    for (double y = top + 0.05; y < 0.58; y += 0.1) {
      rectangle(canvas, x + 0.04, y, x + 0.08, y + 0.05, {0.97F, 0.92F, 0.66F});
      rectangle(canvas, x + 0.11, y, x + 0.15, y + 0.05, {0.97F, 0.92F, 0.66F});
    }
  }
  gradient(canvas, 0.64, 0.70, {0.78F, 0.77F, 0.75F}, {0.72F, 0.71F, 0.70F});
  gradient(canvas, 0.70, 1, {0.38F, 0.38F, 0.41F}, {0.29F, 0.29F, 0.32F});
  for (double x = 0.04; x < 1; x += 0.25) {
    rectangle(canvas, x, 0.93, x + 0.14, 0.95, {0.95F, 0.93F, 0.85F});
  }
}

void table(Canvas& canvas, Random&) {
  gradient(canvas, 0, 0.64, {0.97F, 0.90F, 0.78F}, {0.93F, 0.83F, 0.68F});
  gradient(canvas, 0.64, 0.94, {0.72F, 0.48F, 0.28F}, {0.60F, 0.37F, 0.20F});
  gradient(canvas, 0.94, 1, {0.44F, 0.26F, 0.13F}, {0.38F, 0.22F, 0.11F});
}

void desert(Canvas& canvas, Random& random) {
  gradient(canvas, 0, 0.64, {0.98F, 0.72F, 0.42F}, {1, 0.90F, 0.66F});
  ellipse(canvas, random.uniform(0.1, 0.9), 0.70, 0.45, 0.16, {0.90F, 0.66F, 0.36F}, 1, 0.02);
  gradient(canvas, 0.64, 1, {0.93F, 0.73F, 0.43F}, {0.80F, 0.56F, 0.29F});
}

void forest(Canvas& canvas, Random& random) {
  gradient(canvas, 0, 0.66, {0.62F, 0.80F, 0.76F}, {0.76F, 0.88F, 0.76F});
  for (int i = 0; i < 9; ++i) {
    const double x = (i + random.uniform()) / 9, top = random.uniform(0.05, 0.25);
    const auto tone = static_cast<float>(random.uniform(0.8, 1.1));
    peak(canvas, x, top, 0.68, 0.12, {0.12F * tone, 0.38F * tone, 0.22F * tone});
  }
  gradient(canvas, 0.66, 1, {0.34F, 0.52F, 0.24F}, {0.22F, 0.38F, 0.17F});
}

void studio(Canvas& canvas, Random&) {
  gradient(canvas, 0, 0.7, {0.98F, 0.98F, 0.98F}, {0.95F, 0.95F, 0.96F});
  gradient(canvas, 0.7, 1, {0.95F, 0.95F, 0.96F}, {0.88F, 0.88F, 0.90F});
}

void mountains(Canvas& canvas, Random& random) {
  gradient(canvas, 0, 0.62, {0.50F, 0.70F, 0.92F}, {0.90F, 0.93F, 0.97F});
  for (int i = 0; i < 3; ++i) {
    const double x = 0.15 + 0.35 * i + random.uniform(-0.08, 0.08);
    const double top = random.uniform(0.14, 0.30);
    peak(canvas, x, top, 0.64, 0.30, {0.46F, 0.50F, 0.60F});
    peak(canvas, x, top, top + (0.64 - top) * 0.3, 0.09, {0.97F, 0.98F, 1});
  }
  gradient(canvas, 0.62, 1, {0.52F, 0.72F, 0.40F}, {0.33F, 0.53F, 0.26F});
}

void room(Canvas& canvas, Random& random) {
  gradient(canvas, 0, 0.66, {0.70F, 0.82F, 0.82F}, {0.63F, 0.76F, 0.77F});
  const double x = random.uniform(0.08, 0.62);
  rectangle(canvas, x, 0.10, x + 0.28, 0.38, {1, 1, 1});
  rectangle(canvas, x + 0.02, 0.12, x + 0.26, 0.36, {0.60F, 0.82F, 0.97F});
  rectangle(canvas, x + 0.13, 0.10, x + 0.15, 0.38, {1, 1, 1});
  rectangle(canvas, 0, 0.64, 1, 0.67, {0.96F, 0.95F, 0.92F});
  gradient(canvas, 0.67, 1, {0.70F, 0.52F, 0.36F}, {0.58F, 0.41F, 0.27F});
}

}  // namespace

const std::vector<Place>& all_places() {
  static const std::vector<Place> places = {
      {"on a green meadow", "the grass is green and the sky is blue", "on the grass", 0.66, false,
       meadow},
      {"on a sandy beach", "the sand is yellow and the blue sea lies behind", "on the beach", 0.68,
       false, beach},
      {"on a snowy field", "snow is falling and the ground is white", "in the snow", 0.68, false,
       snow},
      {"under a starry night sky", "the sky is dark blue and full of stars", "at night", 0.76,
       false, night},
      {"under the sea", "the water is blue with bubbles and a sandy floor", "under the sea", 0.80,
       true, sea},
      {"on a city street", "gray buildings with lit windows stand behind the road",
       "on the street", 0.72, false, street},
      {"on a wooden table", "the table is brown and the wall behind is cream", "on a table", 0.68,
       false, table},
      {"in a desert", "the sand is orange and the sky is warm", "in the desert", 0.68, false,
       desert},
      {"in a forest", "dark green trees stand close together behind", "in a forest", 0.70, false,
       forest},
      {"on a plain white background", "the background is white and empty",
       "on a white background", 0.70, false, studio},
      {"in front of snowy mountains", "gray mountains with white tops rise behind the grass",
       "in the mountains", 0.66, false, mountains},
      {"in a living room", "there is a window in the blue wall and a wooden floor",
       "in a living room", 0.70, false, room},
  };
  return places;
}

const Place& place_named(const std::string& name) {
  const auto found = std::ranges::find(all_places(), name, [](const Place& p) { return std::string(p.name); });
  if (found == all_places().end()) {
    fail(Kind::invalid_argument, "{} is not one of the world's places", name);
  }
  return *found;
}

}  // namespace longhand
