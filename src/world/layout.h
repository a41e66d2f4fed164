// Where a scene's figures are: boxes in shares of the picture, back to front.
#pragma once

#include <string>
#include <vector>

#include "world/sprites.h"
#include "world/world.h"

namespace longhand {

/// One drawn thing: the middle of its lower edge, and its extent, in shares of the picture's side.
struct Box {
  int figure;  // index into Scene::figures
  double centre, base, height, width;
  bool shadow;  // it stands on the ground
  bool flipped;

  double left() const { return centre - width / 2; }
  double right() const { return centre + width / 2; }
  double top() const { return base - height; }
};

/// Boxes in drawing order, all within the picture. Follows from the scene alone, its layout seed
/// included. On a grid (0: none) as world/grid_layout.h says. Throws invalid_argument for what is
/// not of the world.
std::vector<Box> lay_out(const Scene& scene, const SpriteSet& sprites, int grid);

/// It is in the air or in the water, and not on the ground.
bool hovers(const Scene& scene, const SpriteSet& sprites, int figure);

/// The relations in which figures may be groups: "left of", "right of", "next to".
bool stand_side_by_side(const std::string& relation);

/// Where a figure is as a whole: "on the left", "in the center" or "on the right".
std::string position_of(const std::vector<Box>& boxes, int figure = 0);

}  // namespace longhand
