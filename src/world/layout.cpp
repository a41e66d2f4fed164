#include "world/layout.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "world/arrangement.h"
#include "world/grid_layout.h"
#include "world/places.h"

namespace longhand {
namespace {

constexpr double edge = 0.03;  // what is kept free around all boxes

double height_of(const std::string& size) {
  return size == "large" ? 0.64 : size == "medium" ? 0.42 : 0.25;
}

class Layout : public Arrangement {
 public:
  Layout(const Scene& scene, const SpriteSet& sprites)
      : Arrangement(scene, sprites), place_(place_named(scene.place)) {}

  std::vector<Box> boxes() {
    arrange();
    for (Box& box : boxes_) {
      box.flipped = random_.chance(0.3) && figure(box.figure).text.empty();
      box.centre = std::clamp(box.centre, edge + box.width / 2, 1 - edge - box.width / 2);
      box.base = std::clamp(box.base, edge + box.height, 1 - edge);
    }
    return std::move(boxes_);
  }

 private:
  /// A figure's thing as large as both limits let it be.
  Box& put(int index, double centre, double base, double height, double width, bool shadow) {
    const double aspect = sprites_.aspect(figure(index).thing, scene_.style);
    const double fitting = std::min(height, width / aspect);
    boxes_.push_back({index, centre, base, fitting, fitting * aspect, shadow, false});
    return boxes_.back();
  }

  double ground() { return random_.uniform(0.86, 0.93); }
  double jitter(double reach) { return random_.uniform(-reach, reach); }

  void row(int index, int count, double centre, double span, double base, double height,
           bool shadow) {
    const double room = span / count;
    for (int i = 0; i < count; ++i) {
      put(index, centre + room * (i - (count - 1) / 2.0) + jitter(0.01), base + jitter(0.012),
          height, room * 0.92, shadow);
    }
  }

  void one_figure() override {
    const int count = figure(0).count;
    const double height = height_of(scene_.size);
    const bool hover = hovers(0);
    const double low = ground();
    if (count == 1) {
      Box& box = put(0, 0.5, low, height, 0.84, !hover);
      // In the middle, or clearly at a side, so that words for the position are plain.
      const double reach = 0.5 - edge - box.width / 2;
      const bool aside = reach > 0.16 && random_.chance(0.4);
      box.centre +=
          aside ? (random_.chance(0.5) ? 1 : -1) * random_.uniform(0.14, std::min(reach, 0.26))
                : jitter(0.03);
      if (hover) {
        box.base = (place_.floating ? 0.48 : 0.42) + jitter(0.04) + box.height / 2;
      }
    } else if (count < 4) {
      row(0, count, 0.5, 0.94, hover ? 0.62 + jitter(0.04) : low, height, !hover);
    } else {
      const double front = hover ? 0.80 : 0.95, step = hover ? 0.36 : 0.27;
      const double reach = hover ? 0.30 : 0.27;
      row(0, 2, 0.5 + jitter(0.02), 0.76, front - step, reach, !hover);
      row(0, 2, 0.5 + jitter(0.02), 0.76, front, reach, !hover);
    }
  }

  /// A group of equal things within a span: up to two side by side, a third one behind them.
  void group(int index, double centre, double span, double base, double height) {
    const int count = figure(index).count;
    if (count < 3) {
      row(index, count, centre, span, base, height, !place_.floating);
      return;
    }
    const double cell = std::min(height, 0.24);
    row(index, count / 2, centre, span * (count / 2) / 2, base - cell * 0.95, cell,
        !place_.floating);
    row(index, count - count / 2, centre, span, base, cell, !place_.floating);
  }

  void side_by_side() override {
    const int first = figure(0).count, second = figure(1).count;
    const bool first_left = first_is_left();
    const double share = std::clamp(static_cast<double>(first) / (first + second), 0.4, 0.6);
    const double left_span = 0.94 * (first_left ? share : 1 - share), right_span = 0.94 - left_span;
    const double base = place_.floating ? 0.66 + jitter(0.04) : ground();
    const double height =
        first + second == 2 ? std::max(0.36, height_of(scene_.size) * 0.84) : 0.38;
    group(first_left ? 0 : 1, edge + left_span / 2, left_span, base, height);
    group(first_left ? 1 : 0, 1 - edge - right_span / 2, right_span, base, height);
  }

  void stacked(int upper) override {
    const double x = 0.5 + jitter(0.06);
    const Box below = put(1 - upper, x, ground() + 0.02, 0.46, 0.72, !place_.floating);
    const double base = below.top() + rest_on(1 - upper) * below.height + 0.02;
    put(upper, x + jitter(0.02), base, std::min(0.42, base - edge), 0.56, false);
  }

  void apart(int upper) override {
    const double x = 0.5 + jitter(0.06);
    const Box below = put(1 - upper, x, ground() + 0.02, 0.40, 0.62, !place_.floating);
    const double room = below.top() - edge;
    Box& above = put(upper, x + jitter(0.03), 0, std::min(0.38, room - 0.08), 0.56, false);
    above.base = edge + (room + above.height) / 2;
  }

  /// The nearer figure lower, smaller than the farther one's height, and over a part of it.
  void in_depth(int front) override {
    const double side = random_.chance(0.5) ? 1 : -1;
    const double base = random_.uniform(0.76, 0.80);
    const Box far = put(1 - front, 0.5 - side * 0.08, base, 0.60, 0.70, !place_.floating);
    Box& near = put(front, 0, base + 0.14, 0.36, 0.44, !place_.floating);
    near.centre = far.centre + side * (far.width * 0.30 + near.width * 0.25);
  }

  const Place& place_;
};

void check(const Scene& scene, int grid) {
  if (scene.figures.empty() || scene.figures.size() > 2) {
    fail(Kind::invalid_argument, "a scene has one or two figures, this one {}",
         scene.figures.size());
  }
  for (const Figure& figure : scene.figures) {
    if (figure.count < 1 || figure.count > 4) {
      fail(Kind::invalid_argument, "a figure's count is 1 to 4, {} has {}", figure.thing,
           figure.count);
    }
    if (!figure.text.empty() && figure.thing != "sign") {
      fail(Kind::invalid_argument, "words stand on signs, not on {}", figure.thing);
    }
  }
  const bool known =
      std::ranges::find(World::relations(), scene.relation) != World::relations().end();
  if (scene.figures.size() == 2 && !known) {
    fail(Kind::invalid_argument, "\"{}\" is not one of the world's relations", scene.relation);
  }
  const bool counted =
      scene.figures.size() == 2 && scene.figures[0].count + scene.figures[1].count > 2;
  if (counted && !stand_side_by_side(scene.relation)) {
    fail(Kind::invalid_argument, "groups stand side by side: \"{}\" needs counts of 1",
         scene.relation);
  }
  if (grid > 0 && counted && std::max(scene.figures[0].count, scene.figures[1].count) > 2) {
    fail(Kind::invalid_argument, "on a grid there is room for two of a kind beside another thing");
  }
}

}  // namespace

bool hovers(const Scene& scene, const SpriteSet& sprites, int figure) {
  const std::string& kind = sprites.kind(scene.figures[static_cast<std::size_t>(figure)].thing);
  return place_named(scene.place).floating || kind == "flyer" || kind == "aircraft" ||
         kind == "sky";
}

bool stand_side_by_side(const std::string& relation) {
  return relation == "left of" || relation == "right of" || relation == "next to";
}

std::vector<Box> lay_out(const Scene& scene, const SpriteSet& sprites, int grid) {
  check(scene, grid);
  return grid > 0 ? lay_out_on_grid(scene, sprites, grid) : Layout(scene, sprites).boxes();
}

std::string position_of(const std::vector<Box>& boxes, int figure) {
  double sum = 0;
  int count = 0;
  for (const Box& box : boxes) {
    if (box.figure == figure) {
      sum += box.centre;
      ++count;
    }
  }
  const double x = sum / count;
  return x < 0.42 ? "on the left" : x > 0.58 ? "on the right" : "in the center";
}

}  // namespace longhand
