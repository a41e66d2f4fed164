#include "world/layout.h"

#include "core/error.h"
#include "world/places.h"

namespace longhand {
namespace {

double height_of(const std::string& size) {
  return size == "large" ? 0.62 : size == "medium" ? 0.46 : 0.30;
}

bool flies(const std::string& kind) {
  return kind == "flyer" || kind == "aircraft" || kind == "sky";
}

/// Equal things side by side around `centre`.
void row(std::vector<Box>& boxes, int figure, int count, double centre, double span, double base,
         double height, bool shadow, Random& random) {
  const double cell = span / count;
  for (int i = 0; i < count; ++i) {
    const double x = centre - span / 2 + cell * (i + 0.5) + random.uniform(-0.015, 0.015);
    boxes.push_back({figure, x, base + random.uniform(-0.015, 0.015),
                     std::min(height, cell * 1.15), cell * 0.94, shadow, false});
  }
}

std::vector<Box> one_figure(const Scene& scene, const SpriteSet& sprites, const Place& place,
                            Random& random) {
  const Figure& figure = scene.figures[0];
  const double size = height_of(scene.size);
  std::vector<Box> boxes;
  const bool hovers = flies(sprites.kind(figure.thing)) || place.floating;
  const double base =
      hovers ? std::max(size + 0.06, random.uniform(0.50, 0.66)) : random.uniform(0.84, 0.92);
  if (figure.count == 1) {
    const double reach = size > 0.5 ? 0.07 : 0.24;
    const double x = 0.5 + (random.chance(0.6) ? random.uniform(-0.04, 0.04)
                                               : random.uniform(-reach, reach));
    boxes.push_back({0, x, base, size, 0.80, !hovers, false});
  } else if (figure.count < 4) {
    row(boxes, 0, figure.count, 0.5, 0.94, base, size, !hovers, random);
  } else {
    row(boxes, 0, 2, 0.5, 0.72, base - 0.36, 0.34, false, random);
    row(boxes, 0, 2, 0.5, 0.72, base, 0.34, !hovers, random);
  }
  return boxes;
}

std::vector<Box> side_by_side(const Scene& scene, const Place& place, Random& random) {
  const int first = scene.figures[0].count, second = scene.figures[1].count;
  const bool first_left = scene.relation == "left of" ||
                          (scene.relation != "right of" && random.chance(0.5));
  const double base = place.floating ? random.uniform(0.60, 0.70) : random.uniform(0.84, 0.91);
  const double share = static_cast<double>(first) / (first + second);
  const double left_share = 0.94 * (first_left ? share : 1 - share);
  std::vector<Box> boxes;
  const double size = first + second == 2 ? height_of(scene.size) * 0.82 : 0.40;
  for (int figure = 0; figure < 2; ++figure) {
    const bool left = (figure == 0) == first_left;
    const double span = left ? left_share : 0.94 - left_share;
    const double centre = left ? 0.03 + left_share / 2 : 0.97 - (0.94 - left_share) / 2;
    row(boxes, figure, scene.figures[figure].count, centre, span, base, size, !place.floating,
        random);
  }
  return boxes;
}

/// The upper figure on the lower one, or hovering well above it.
std::vector<Box> stacked(int upper, bool touching, bool floating, Random& random) {
  const double x = 0.5 + random.uniform(-0.08, 0.08);
  const double base = random.uniform(0.88, 0.93);
  const double lower_height = touching ? 0.44 : 0.38;
  const double upper_base = touching ? base - lower_height + 0.035 : 0.42;
  return {{1 - upper, x, base, lower_height, 0.62, !floating, false},
          {upper, x + random.uniform(-0.03, 0.03), upper_base, 0.36, 0.50, false, false}};
}

std::vector<Box> in_depth(int front, bool floating, Random& random) {
  const double side = random.chance(0.5) ? 1 : -1;
  const double base = random.uniform(0.76, 0.80);
  return {{1 - front, 0.5 - side * 0.10, base, 0.60, 0.66, !floating, false},
          {front, 0.5 + side * random.uniform(0.10, 0.18), base + 0.15, 0.36, 0.46, !floating,
           false}};
}

}  // namespace

std::vector<Box> lay_out(const Scene& scene, const SpriteSet& sprites) {
  Random random({scene.layout, 1});
  const Place& place = place_named(scene.place);
  std::vector<Box> boxes;
  if (scene.figures.size() == 1) {
    boxes = one_figure(scene, sprites, place, random);
  } else if (scene.relation == "on" || scene.relation == "above") {
    boxes = stacked(0, scene.relation == "on", place.floating, random);
  } else if (scene.relation == "under" || scene.relation == "below") {
    boxes = stacked(1, scene.relation == "under", place.floating, random);
  } else if (scene.relation == "in front of" || scene.relation == "behind") {
    boxes = in_depth(scene.relation == "in front of" ? 0 : 1, place.floating, random);
  } else {
    boxes = side_by_side(scene, place, random);
  }
  for (Box& box : boxes) {
    box.flipped = random.chance(0.3);
  }
  return boxes;
}

std::string position_of(const Scene& scene, const SpriteSet& sprites) {
  const double x = lay_out(scene, sprites)[0].centre;
  return x < 0.40 ? "on the left" : x > 0.60 ? "on the right" : "in the center";
}

}  // namespace longhand
