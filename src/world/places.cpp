#include "world/places.h"

#include <algorithm>
#include <cmath>
#include <map>

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
      {"on a green meadow",
       "on the grass",
       {"The grass is green and the sky is blue.", "Green grass lies under a clear blue sky.",
        "The sky above the grass is light blue."},
       false,
       meadow},
      {"on a sandy beach",
       "on the beach",
       {"The sand is yellow and the blue sea lies behind.", "Behind the pale sand is the blue sea.",
        "The sea is calm and the sky is light blue."},
       false,
       beach},
      {"on a snowy field",
       "in the snow",
       {"Snow is falling and the ground is white.", "The ground is covered in white snow.",
        "White snowflakes fall from a pale sky."},
       false,
       snow},
      {"under a starry night sky",
       "at night",
       {"The sky is dark blue and full of stars.", "Small stars shine in the dark blue sky.",
        "The night is dark and the stars are bright."},
       false,
       night},
      {"under the sea",
       "under the sea",
       {"The water is blue with bubbles and a sandy floor.", "Bubbles rise in the blue water.",
        "The deep water is blue above the sand."},
       true,
       sea},
      {"on a city street",
       "on the street",
       {"Gray buildings with lit windows stand behind the road.",
        "The road is dark gray and buildings stand behind it.",
        "Behind the road is a row of gray buildings."},
       false,
       street},
      {"on a wooden table",
       "on a table",
       {"The table is brown and the wall behind is cream.",
        "The brown wood is smooth and the wall is plain.",
        "Behind the brown table is a plain cream wall."},
       false,
       table},
      {"in a desert",
       "in the desert",
       {"The sand is orange and the sky is warm.", "A dune of sand rises under a warm orange sky.",
        "The sky glows orange over the sand."},
       false,
       desert},
      {"in a forest",
       "in a forest",
       {"Dark green trees stand close together behind.",
        "Tall dark green pines stand in the background.",
        "The background is full of dark green trees."},
       false,
       forest},
      {"on a plain white background",
       "on a white background",
       {"The background is white and empty.", "There is nothing else on the white background.",
        "The background is plain and bright."},
       false,
       studio},
      {"in the snowy mountains",
       "in the mountains",
       {"Gray mountains with white tops rise behind the grass.",
        "Behind the grass are gray mountains with snow on top.",
        "White tops of mountains rise into the blue sky."},
       false,
       mountains},
      {"in a living room",
       "in a living room",
       {"There is a window in the blue wall and a wooden floor.",
        "The floor is brown wood and the wall has a window.",
        "The wall is pale blue with a white window."},
       false,
       room},
  };
  return places;
}

const Place& place_named(const std::string& name) {
  const auto found =
      std::ranges::find_if(all_places(), [&](const Place& p) { return name == p.name; });
  if (found == all_places().end()) {
    fail(Kind::invalid_argument,
         "\"{}\" is not one of the world's places; longhand world --list names them", name);
  }
  return *found;
}

const std::vector<std::string>& usual_places(const std::string& kind) {
  static const std::string meadow_name = "on a green meadow", beach_name = "on a sandy beach",
                           snow_name = "on a snowy field", night_name = "under a starry night sky",
                           sea_name = "under the sea", street_name = "on a city street",
                           table_name = "on a wooden table", desert_name = "in a desert",
                           forest_name = "in a forest", white_name = "on a plain white background",
                           mountains_name = "in the snowy mountains",
                           room_name = "in a living room";
  static const std::map<std::string, std::vector<std::string>> usual = {
      {"animal",
       {meadow_name, meadow_name, meadow_name, white_name, white_name, forest_name, snow_name,
        street_name, desert_name, mountains_name, room_name}},
      {"flyer", {meadow_name, meadow_name, white_name, forest_name, mountains_name, beach_name}},
      {"swimmer", {sea_name, sea_name, sea_name, sea_name, white_name, beach_name}},
      {"food", {table_name, table_name, table_name, white_name, white_name, meadow_name}},
      {"vehicle",
       {street_name, street_name, street_name, white_name, meadow_name, beach_name, desert_name,
        mountains_name}},
      {"aircraft", {mountains_name, meadow_name, white_name, night_name, desert_name, beach_name}},
      {"object",
       {table_name, table_name, white_name, white_name, room_name, room_name, meadow_name}},
      {"plant", {meadow_name, meadow_name, white_name, mountains_name, desert_name, beach_name}},
      {"building",
       {meadow_name, meadow_name, mountains_name, snow_name, beach_name, night_name, desert_name}},
      {"sky", {meadow_name, beach_name, mountains_name, night_name, white_name, snow_name}},
  };
  return usual.at(kind);
}

Canvas painted(const Place& place, int size, Random& random) {
  Canvas fine{2 * size, std::vector<float>(static_cast<std::size_t>(size) * size * 12)};
  place.paint(fine, random);
  Canvas canvas{size, std::vector<float>(static_cast<std::size_t>(size) * size * 3)};
  const auto row = static_cast<std::size_t>(fine.size) * 3;
  for (int y = 0; y < size; ++y) {
    for (int i = 0; i < size * 3; ++i) {
      const std::size_t from = 2 * static_cast<std::size_t>(y) * row + (i / 3) * 6 + i % 3;
      canvas.pixels[static_cast<std::size_t>(y) * size * 3 + i] =
          (fine.pixels[from] + fine.pixels[from + 3] + fine.pixels[from + row] +
           fine.pixels[from + row + 3]) /
          4;
    }
  }
  return canvas;
}

}  // namespace longhand
