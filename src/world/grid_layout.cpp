#include "world/grid_layout.h"

#include <algorithm>
#include <cmath>

#include "world/arrangement.h"

namespace longhand {
namespace {

// In sixteenths of the picture's side, as all lengths here until boxes() returns:
constexpr double side = 16;
constexpr double large = 10, usual = 7;                        // squares that things fit into
constexpr int middle = 8, left_column = 4, right_column = 12;  // centres
constexpr int back_row = 10, front_row = 16;                   // bases of two rows on the ground
constexpr int upper_row = 7, lower_row = 15;                   // and of two in the air

class GridLayout : public Arrangement {
 public:
  GridLayout(const Scene& scene, const SpriteSet& sprites, int grid)
      : Arrangement(scene, sprites), cell_(side / grid) {}

  std::vector<Box> boxes() {
    arrange();
    for (Box& box : boxes_) {
      for (double* length : {&box.centre, &box.base, &box.height, &box.width}) {
        *length /= side;
      }
    }
    return std::move(boxes_);
  }

 private:
  /// The nearest whole cell within limits.
  double whole(double from, double wanted, double to) const {
    return std::clamp(std::round(wanted / cell_), std::ceil(from / cell_ - 1e-6),
                      std::floor(to / cell_ + 1e-6)) *
           cell_;
  }

  /// A figure's thing in a square, on the nearest whole cells that have it within the picture.
  Box& put(int index, double square, double centre, double base) {
    const double aspect = sprites_.aspect(figure(index).thing, scene_.style);
    const double height =
        std::max(2.0, std::floor(2 * square / std::max(1.0, aspect) / cell_)) * cell_ / 2;
    const double width = height * aspect;
    boxes_.push_back({index, whole(width / 2, centre, side - width / 2), whole(height, base, side),
                      height, width, !hovers(index), false});
    return boxes_.back();
  }

  double ground() { return random_.chance(0.5) ? 14 : 15; }

  /// The base of a thing whose middle is about the picture's.
  double in_the_air(double height) { return middle + height / 2 + random_.uniform(-1, 0.5); }

  void one_figure() override { figure(0).count == 1 ? one() : several(); }

  void one() {
    Box& box = put(0, scene_.size == "large" ? large : usual, middle, ground());
    // In the middle, or clearly at a side, so that words for the position are plain.
    const double reach = std::min(4.0, (side - box.width) / 2);
    const bool aside = reach >= 3 && random_.chance(0.4);
    const double offset = aside ? random_.uniform(2.5, reach) : random_.uniform(0, 1);
    box.centre = whole(box.width / 2, middle + (random_.chance(0.5) ? 1 : -1) * offset,
                       side - box.width / 2);
    if (!box.shadow) {
      box.base = whole(box.height, in_the_air(box.height), side);
    }
  }

  /// Two side by side; three and four in two rows, those behind first.
  void several() {
    const int count = figure(0).count;
    const bool hover = hovers(0);
    if (count == 2) {
      row(2, hover ? in_the_air(usual) : ground());
      return;
    }
    const int behind = count == 4 ? 2 : 1 + random_.below(2);
    row(behind, hover ? upper_row : back_row);
    row(count - behind, hover ? lower_row : front_row);
  }

  void row(int count, double base) {
    if (count == 1) {
      put(0, usual, middle, base);
      return;
    }
    put(0, usual, left_column, base);
    put(0, usual, right_column, base);
  }

  /// One or two of a figure, one behind the other, at one side.
  void column(int index, double centre, double base) {
    if (figure(index).count == 1) {
      put(index, usual, centre, base);
      return;
    }
    put(index, usual, centre, hovers(index) ? upper_row : back_row);
    put(index, usual, centre, hovers(index) ? lower_row : front_row);
  }

  void side_by_side() override {
    const bool first_left = first_is_left();
    const double base = hovers(0) && hovers(1) ? in_the_air(usual) : ground();
    column(0, first_left ? left_column : right_column, base);
    column(1, first_left ? right_column : left_column, base);
  }

  double about_the_middle() { return middle + random_.below(3) - 1; }

  void stacked(int upper) override {
    const double centre = about_the_middle();
    const Box below = put(1 - upper, usual, centre, front_row);
    // It rather sinks in a little than floats above.
    Box& above = put(upper, usual, centre, below.top() + rest_on(1 - upper) * below.height + 0.5);
    above.shadow = false;
  }

  void apart(int upper) override {
    const double centre = about_the_middle();
    const Box below = put(1 - upper, usual, centre, front_row);
    Box& above = put(upper, usual, centre, 0);
    above.base = whole(above.height, (below.top() + above.height) / 2, below.top() - cell_);
    above.shadow = false;
  }

  void in_depth(int front) override {
    const double to_the = random_.chance(0.5) ? 1 : -1;
    const Box far = put(1 - front, large, middle - to_the, random_.chance(0.5) ? 12 : 13);
    Box& near = put(front, usual, 0, front_row);
    near.centre = whole(near.width / 2, far.centre + to_the * (far.width * 0.3 + near.width * 0.25),
                        side - near.width / 2);
  }

  double cell_;
};

}  // namespace

std::vector<Box> lay_out_on_grid(const Scene& scene, const SpriteSet& sprites, int grid) {
  return GridLayout(scene, sprites, grid).boxes();
}

}  // namespace longhand
