#include "world/places.h"

#include <algorithm>

#include "core/error.h"
#include "world/weather.h"

namespace longhand {
namespace {

void clouds(Raster& canvas, Random& random) {
  for (int i = random.below(3); i > 0; --i) {
    const double x = random.uniform(0.05, 0.95), y = random.uniform(0.08, 0.25);
    for (const double offset : {-0.07, 0.0, 0.07}) {
      ellipse(canvas, x + offset, y - (offset == 0 ? 0.02 : 0), 0.07, 0.035, {1, 1, 1}, 0.75, 0.3);
    }
  }
}

constexpr Colour day_top{0.45F, 0.72F, 0.95F}, day_low{0.80F, 0.92F, 0.99F};

void meadow(Raster& canvas, Random& random) {
  gradient(canvas, 0, 0.62, day_top, day_low);
  clouds(canvas, random);
  gradient(canvas, 0.62, 1, {0.55F, 0.80F, 0.36F}, {0.30F, 0.60F, 0.22F});
}

void beach(Raster& canvas, Random& random) {
  gradient(canvas, 0, 0.45, day_top, day_low);
  clouds(canvas, random);
  gradient(canvas, 0.45, 0.62, {0.10F, 0.48F, 0.72F}, {0.25F, 0.68F, 0.80F});
  gradient(canvas, 0.62, 1, {0.98F, 0.90F, 0.70F}, {0.91F, 0.77F, 0.52F});
}

void snow(Raster& canvas, Random& random) {
  gradient(canvas, 0, 0.62, {0.66F, 0.76F, 0.88F}, {0.85F, 0.90F, 0.96F});
  gradient(canvas, 0.62, 1, {0.98F, 0.99F, 1}, {0.86F, 0.91F, 0.97F});
  for (int i = 0; i < 24; ++i) {
    ellipse(canvas, random.uniform(), random.uniform(0, 0.62), 0.012, 0.012, {1, 1, 1}, 0.95);
  }
}

void stars(Raster& canvas, Random& random) {
  for (int i = 0; i < 26; ++i) {
    const double r = random.uniform(0.006, 0.012);
    ellipse(canvas, random.uniform(), random.uniform(0, 0.66), r, r, {1, 0.98F, 0.85F}, 0.95);
  }
}

void night(Raster& canvas, Random& random) {
  gradient(canvas, 0, 0.72, {0.04F, 0.05F, 0.20F}, {0.16F, 0.18F, 0.42F});
  stars(canvas, random);
  gradient(canvas, 0.72, 1, {0.10F, 0.20F, 0.24F}, {0.05F, 0.12F, 0.15F});
}

void sea(Raster& canvas, Random& random) {
  gradient(canvas, 0, 0.86, {0.25F, 0.72F, 0.86F}, {0.03F, 0.30F, 0.55F});
  gradient(canvas, 0.86, 1, {0.80F, 0.75F, 0.55F}, {0.66F, 0.60F, 0.42F});
  for (int i = 0; i < 9; ++i) {
    const double r = random.uniform(0.01, 0.02);
    ellipse(canvas, random.uniform(), random.uniform(0.05, 0.8), r, r, {0.85F, 0.97F, 1}, 0.7);
  }
}

void street(Raster& canvas, Random& random) {
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

void table(Raster& canvas, Random&) {
  gradient(canvas, 0, 0.64, {0.97F, 0.90F, 0.78F}, {0.93F, 0.83F, 0.68F});
  gradient(canvas, 0.64, 0.94, {0.72F, 0.48F, 0.28F}, {0.60F, 0.37F, 0.20F});
  gradient(canvas, 0.94, 1, {0.44F, 0.26F, 0.13F}, {0.38F, 0.22F, 0.11F});
}

void desert(Raster& canvas, Random& random) {
  gradient(canvas, 0, 0.64, {0.98F, 0.72F, 0.42F}, {1, 0.90F, 0.66F});
  ellipse(canvas, random.uniform(0.1, 0.9), 0.70, 0.45, 0.16, {0.90F, 0.66F, 0.36F}, 1, 0.02);
  gradient(canvas, 0.64, 1, {0.93F, 0.73F, 0.43F}, {0.80F, 0.56F, 0.29F});
}

void forest(Raster& canvas, Random& random) {
  gradient(canvas, 0, 0.66, {0.62F, 0.80F, 0.76F}, {0.76F, 0.88F, 0.76F});
  for (int i = 0; i < 9; ++i) {
    const double x = (i + random.uniform()) / 9, top = random.uniform(0.05, 0.25);
    const auto tone = static_cast<float>(random.uniform(0.8, 1.1));
    peak(canvas, x, top, 0.68, 0.12, {0.12F * tone, 0.38F * tone, 0.22F * tone});
  }
  gradient(canvas, 0.66, 1, {0.34F, 0.52F, 0.24F}, {0.22F, 0.38F, 0.17F});
}

void studio(Raster& canvas, Random&) {
  gradient(canvas, 0, 0.7, {0.98F, 0.98F, 0.98F}, {0.95F, 0.95F, 0.96F});
  gradient(canvas, 0.7, 1, {0.95F, 0.95F, 0.96F}, {0.88F, 0.88F, 0.90F});
}

void mountains(Raster& canvas, Random& random) {
  gradient(canvas, 0, 0.62, {0.50F, 0.70F, 0.92F}, {0.90F, 0.93F, 0.97F});
  for (int i = 0; i < 3; ++i) {
    const double x = 0.15 + 0.35 * i + random.uniform(-0.08, 0.08);
    const double top = random.uniform(0.14, 0.30);
    peak(canvas, x, top, 0.64, 0.30, {0.46F, 0.50F, 0.60F});
    peak(canvas, x, top, top + (0.64 - top) * 0.3, 0.09, {0.97F, 0.98F, 1});
  }
  gradient(canvas, 0.62, 1, {0.52F, 0.72F, 0.40F}, {0.33F, 0.53F, 0.26F});
}

void room(Raster& canvas, Random& random) {
  gradient(canvas, 0, 0.66, {0.70F, 0.82F, 0.82F}, {0.63F, 0.76F, 0.77F});
  const double x = random.uniform(0.08, 0.62);
  rectangle(canvas, x, 0.10, x + 0.28, 0.38, {1, 1, 1});
  rectangle(canvas, x + 0.02, 0.12, x + 0.26, 0.36, {0.60F, 0.82F, 0.97F});
  rectangle(canvas, x + 0.13, 0.10, x + 0.15, 0.38, {1, 1, 1});
  rectangle(canvas, 0, 0.64, 1, 0.67, {0.96F, 0.95F, 0.92F});
  gradient(canvas, 0.67, 1, {0.70F, 0.52F, 0.36F}, {0.58F, 0.41F, 0.27F});
}

void lake(Raster& canvas, Random& random) {
  gradient(canvas, 0, 0.50, day_top, day_low);
  clouds(canvas, random);
  for (const double x : {0.1, 0.5, 0.9}) {
    ellipse(canvas, x + random.uniform(-0.1, 0.1), 0.52, 0.32, random.uniform(0.06, 0.13),
            {0.36F, 0.56F, 0.38F}, 1, 0.02);
  }
  gradient(canvas, 0.50, 1, {0.42F, 0.70F, 0.84F}, {0.14F, 0.42F, 0.64F});
  for (int i = 0; i < 12; ++i) {
    const double x = random.uniform(), y = random.uniform(0.55, 0.98);
    line(canvas, x, y, x + random.uniform(0.06, 0.14), y, 0.008, {0.75F, 0.90F, 0.96F}, 0.7F);
  }
}

void kitchen(Raster& canvas, Random&) {
  gradient(canvas, 0, 0.64, {0.82F, 0.92F, 0.94F}, {0.76F, 0.88F, 0.90F});
  for (double at = 0; at < 1; at += 0.125) {
    line(canvas, at, 0, at, 0.64, 0.008, {0.97F, 0.99F, 0.99F}, 1);
    line(canvas, 0, at * 0.64, 1, at * 0.64, 0.008, {0.97F, 0.99F, 0.99F}, 1);
  }
  constexpr Colour red{0.82F, 0.20F, 0.20F}, pale{0.97F, 0.94F, 0.90F};
  for (int row = 0; row < 4; ++row) {
    for (int column = 0; column < 10; ++column) {
      rectangle(canvas, column * 0.1, 0.64 + row * 0.09, (column + 1) * 0.1, 0.73 + row * 0.09,
                (row + column) % 2 == 0 ? mix(red, pale, 0.25F) : pale);
    }
  }
}

void space(Raster& canvas, Random& random) {
  gradient(canvas, 0, 1, {0.02F, 0.02F, 0.07F}, {0.10F, 0.05F, 0.18F});
  for (int i = 0; i < 44; ++i) {
    const double r = random.uniform(0.004, 0.010);
    ellipse(canvas, random.uniform(), random.uniform(), r, r, {1, 1, 0.95F}, 0.9);
  }
  ellipse(canvas, random.uniform(0.2, 0.8), 1.22, 0.62, 0.40, {0.24F, 0.50F, 0.78F}, 1, 0.02);
}

void open_sky(Raster& canvas, Random& random) {
  gradient(canvas, 0, 1, {0.25F, 0.55F, 0.90F}, {0.75F, 0.90F, 1});
  for (int i = 0; i < 5; ++i) {
    const double x = random.uniform(), y = 0.1 + 0.19 * i + random.uniform(-0.04, 0.04);
    for (const double offset : {-0.09, 0.0, 0.09}) {
      ellipse(canvas, x + offset, y - (offset == 0 ? 0.03 : 0), 0.09, 0.045, {1, 1, 1}, 0.8, 0.3);
    }
  }
}

void flowers(Raster& canvas, Random& random) {
  meadow(canvas, random);
  constexpr Colour petals[] = {
      {0.95F, 0.30F, 0.35F}, {1, 0.85F, 0.25F}, {0.98F, 0.98F, 1}, {0.75F, 0.45F, 0.90F}};
  for (int i = 0; i < 60; ++i) {
    const double y = random.uniform(0.64, 0.99), r = 0.008 + 0.03 * (y - 0.64);
    ellipse(canvas, random.uniform(), y, r, r, petals[random.below(4)], 1);
  }
}

void farm(Raster& canvas, Random& random) {
  gradient(canvas, 0, 0.62, day_top, day_low);
  clouds(canvas, random);
  gradient(canvas, 0.62, 1, {0.88F, 0.78F, 0.42F}, {0.66F, 0.55F, 0.26F});
  const double x = random.chance(0.5) ? 0.17 : 0.83;
  constexpr Colour wall{0.72F, 0.18F, 0.16F}, frame{0.97F, 0.95F, 0.92F};
  peak(canvas, x, 0.20, 0.36, 0.18, {0.42F, 0.24F, 0.20F});
  rectangle(canvas, x - 0.14, 0.34, x + 0.14, 0.63, wall);
  rectangle(canvas, x - 0.06, 0.44, x + 0.06, 0.63, frame);
  rectangle(canvas, x - 0.045, 0.455, x + 0.045, 0.63, mix(wall, {0, 0, 0}, 0.3F));
  for (double post = 0.02; post < 1; post += 0.12) {
    rectangle(canvas, post, 0.57, post + 0.02, 0.68, frame);
  }
  rectangle(canvas, 0, 0.595, 1, 0.61, frame);
  rectangle(canvas, 0, 0.635, 1, 0.65, frame);
}

void stage(Raster& canvas, Random&) {
  gradient(canvas, 0, 0.70, {0.34F, 0.06F, 0.10F}, {0.46F, 0.08F, 0.12F});
  for (int i = 0; i < 14; ++i) {
    const double x = i / 13.0;
    ellipse(canvas, x, 0.3, 0.022, 0.46, {0.72F, 0.14F, 0.18F}, 0.8, 0.7);
  }
  gradient(canvas, 0.70, 1, {0.66F, 0.44F, 0.26F}, {0.46F, 0.29F, 0.16F});
  ellipse(canvas, 0.5, 0.87, 0.42, 0.10, {1, 0.93F, 0.72F}, 0.55, 0.5);
}

}  // namespace

const std::vector<Place>& all_places() {
  static const std::vector<Place> places = {
      {"on a green meadow",
       "on the grass",
       {"The grass is green and the sky is blue.", "Green grass lies under a clear blue sky.",
        "The sky above the grass is light blue."},
       false,
       true,
       meadow},
      {"on a sandy beach",
       "on the beach",
       {"The sand is yellow and the blue sea lies behind.", "Behind the pale sand is the blue sea.",
        "The sea is calm and the sky is light blue."},
       false,
       true,
       beach},
      {"on a snowy field",
       "in the snow",
       {"Snow is falling and the ground is white.", "The ground is covered in white snow.",
        "White snowflakes fall from a pale sky."},
       false,
       false,
       snow},
      {"under a starry night sky",
       "at night",
       {"The sky is dark blue and full of stars.", "Small stars shine in the dark blue sky.",
        "The night is dark and the stars are bright."},
       false,
       false,
       night},
      {"under the sea",
       "under the sea",
       {"The water is blue with bubbles and a sandy floor.", "Bubbles rise in the blue water.",
        "The deep water is blue above the sand."},
       true,
       false,
       sea},
      {"on a city street",
       "on the street",
       {"Gray buildings with lit windows stand behind the road.",
        "The road is dark gray and buildings stand behind it.",
        "Behind the road is a row of gray buildings."},
       false,
       true,
       street},
      {"on a wooden table",
       "on a table",
       {"The table is brown and the wall behind is cream.",
        "The brown wood is smooth and the wall is plain.",
        "Behind the brown table is a plain cream wall."},
       false,
       false,
       table},
      {"in a desert",
       "in the desert",
       {"The sand is orange and the sky is warm.", "A dune of sand rises under a warm orange sky.",
        "The sky glows orange over the sand."},
       false,
       true,
       desert},
      {"in a forest",
       "in a forest",
       {"Dark green trees stand close together behind.",
        "Tall dark green pines stand in the background.",
        "The background is full of dark green trees."},
       false,
       true,
       forest},
      {"on a plain white background",
       "on a white background",
       {"The background is white and empty.", "There is nothing else on the white background.",
        "The background is plain and bright."},
       false,
       false,
       studio},
      {"in the snowy mountains",
       "in the mountains",
       {"Gray mountains with white tops rise behind the grass.",
        "Behind the grass are gray mountains with snow on top.",
        "White tops of mountains rise into the blue sky."},
       false,
       true,
       mountains},
      {"in a living room",
       "in a living room",
       {"There is a window in the blue wall and a wooden floor.",
        "The floor is brown wood and the wall has a window.",
        "The wall is pale blue with a white window."},
       false,
       false,
       room},
      {"on a calm lake",
       "on a lake",
       {"The water is blue and green hills lie behind.",
        "Behind the blue water are low green hills.", "The lake is calm under a light blue sky."},
       false,
       true,
       lake},
      {"on a kitchen table",
       "on the kitchen table",
       {"The tablecloth has red and white squares.",
        "Behind the checkered cloth is a wall of pale tiles.",
        "The cloth is red and white and the tiles are pale blue."},
       false,
       false,
       kitchen},
      {"in outer space",
       "in space",
       {"Space is black and full of stars.", "A blue planet lies below in the dark.",
        "Stars shine in the black space above a blue planet."},
       true,
       false,
       space},
      {"high in the blue sky",
       "in the sky",
       {"White clouds float all around.", "The sky is blue with many white clouds.",
        "Soft white clouds are above and below."},
       true,
       false,
       open_sky},
      {"in a field of flowers",
       "among flowers",
       {"Red, yellow and white flowers grow in the grass.",
        "The grass is full of small bright flowers.", "Colorful flowers cover the green field."},
       false,
       true,
       flowers},
      {"on a farm",
       "on a farm",
       {"A red barn and a white fence stand behind.", "Behind the yellow field is a red barn.",
        "There is a white fence in front of a red barn."},
       false,
       true,
       farm},
      {"on a stage",
       "on stage",
       {"Red curtains hang behind the wooden floor.", "The curtains are red and the floor is lit.",
        "A bright light falls on the wooden stage."},
       false,
       false,
       stage},
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

Raster painted(const Place& place, const std::string& weather, int size, Random& random) {
  Raster fine{2 * size, std::vector<float>(static_cast<std::size_t>(size) * size * 12)};
  place.paint(fine, random);
  if (!weather.empty()) {
    weather_named(weather).paint(fine, random);
  }
  Raster canvas{size, std::vector<float>(static_cast<std::size_t>(size) * size * 3)};
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
