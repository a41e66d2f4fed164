// What laying a scene out has in common, anywhere (world/layout.cpp) and on a grid
// (world/grid_layout.cpp): which relation is arranged how.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "core/random.h"
#include "world/layout.h"

namespace longhand {

class Arrangement {
 public:
  Arrangement(const Scene& scene, const SpriteSet& sprites)
      : scene_(scene), sprites_(sprites), random_({scene.layout, 1}) {}
  virtual ~Arrangement() = default;
  Arrangement(const Arrangement&) = delete;
  Arrangement& operator=(const Arrangement&) = delete;

 protected:
  /// Puts the scene's figures into boxes_, back to front, by one of what follows.
  void arrange() {
    const std::string& relation = scene_.relation;
    if (scene_.figures.size() == 1) {
      one_figure();
    } else if (relation == "on" || relation == "under") {
      stacked(relation == "on" ? 0 : 1);
    } else if (relation == "above" || relation == "below") {
      apart(relation == "above" ? 0 : 1);
    } else if (relation == "in front of" || relation == "behind") {
      in_depth(relation == "in front of" ? 0 : 1);
    } else {
      side_by_side();
    }
  }

  virtual void one_figure() = 0;
  /// One figure resting on the other.
  virtual void stacked(int upper) = 0;
  /// One figure well above the other, a gap between them.
  virtual void apart(int upper) = 0;
  /// The nearer figure lower and smaller, over a part of the farther one.
  virtual void in_depth(int front) = 0;
  virtual void side_by_side() = 0;

  const Figure& figure(int index) const { return scene_.figures[static_cast<std::size_t>(index)]; }
  bool hovers(int index) const { return longhand::hovers(scene_, sprites_, index); }
  /// For two figures beside each other. People read pictures from the left: where nothing else is
  /// said, what they name first stands there.
  bool first_is_left() const { return scene_.relation != "right of"; }
  /// How far below a figure's upper edge another rests on it, as a share of its height.
  double rest_on(int lower) const {
    return std::min(0.45, sprites_.rest(figure(lower).thing, scene_.style));
  }

  const Scene& scene_;
  const SpriteSet& sprites_;
  Random random_;
  std::vector<Box> boxes_;
};

}  // namespace longhand
