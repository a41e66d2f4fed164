#include "world/weather.h"

#include <algorithm>

#include "core/error.h"

namespace longhand {
namespace {

void rain(Raster& canvas, Random& random) {
  gradient(canvas, 0, 1, {0.42F, 0.47F, 0.54F}, {0.50F, 0.55F, 0.60F}, 0.5F);
  for (int i = 0; i < 46; ++i) {
    const double x = random.uniform(0, 1.05), y = random.uniform(-0.05, 0.95);
    const double length = random.uniform(0.06, 0.12);
    line(canvas, x, y, x - 0.25 * length, y + length, 0.009, {0.86F, 0.92F, 0.98F}, 0.75F);
  }
}

void fog(Raster& canvas, Random& random) {
  gradient(canvas, 0, 1, {0.86F, 0.87F, 0.89F}, {0.88F, 0.89F, 0.90F}, 0.66F);
  for (int i = 0; i < 4; ++i) {
    ellipse(canvas, random.uniform(), random.uniform(0.3, 0.8), 0.45, 0.07, {0.95F, 0.95F, 0.96F},
            0.5, 0.6);
  }
}

void sunset(Raster& canvas, Random&) {
  gradient(canvas, 0, 0.62, {0.45F, 0.22F, 0.50F}, {1.00F, 0.58F, 0.25F}, 0.8F);
  gradient(canvas, 0.62, 1, {0.75F, 0.38F, 0.24F}, {0.38F, 0.20F, 0.32F}, 0.4F);
}

void snowfall(Raster& canvas, Random& random) {
  gradient(canvas, 0, 1, {0.72F, 0.77F, 0.84F}, {0.88F, 0.91F, 0.95F}, 0.35F);
  for (int i = 0; i < 55; ++i) {
    const double r = random.uniform(0.008, 0.015);
    ellipse(canvas, random.uniform(), random.uniform(), r, r, {1, 1, 1}, 0.95);
  }
}

}  // namespace

const Weather& weather_named(const std::string& name) {
  static const std::vector<Weather> all = {
      {"in the rain",
       {"Rain falls from a gray sky.", "The sky is gray and drops of rain fall.",
        "It is raining and all is gray behind."},
       rain},
      {"in thick fog",
       {"Everything behind is pale in the fog.", "White fog hides what lies behind.",
        "The fog is thick and the light is pale."},
       fog},
      {"at sunset",
       {"The evening sky is orange and purple.", "The sky glows orange near the ground.",
        "The light is warm and the sky turns purple."},
       sunset},
      {"in falling snow",
       {"White snowflakes fall everywhere.", "Snow is falling from a pale sky.",
        "Many flakes of snow are in the air."},
       snowfall},
  };
  const auto found = std::ranges::find_if(all, [&](const Weather& w) { return name == w.name; });
  if (found == all.end()) {
    fail(Kind::invalid_argument,
         "\"{}\" is not one of the world's weathers; longhand world --list names them", name);
  }
  return *found;
}

}  // namespace longhand
