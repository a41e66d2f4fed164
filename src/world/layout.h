// Where a scene's figures are: boxes in shares of the picture, back to front.
#pragma once

#include <vector>

#include "world/sprites.h"
#include "world/world.h"

namespace longhand {

/// One drawn thing. `centre` and `base` (its lower edge) in shares of the picture's side; height and width are the
/// largest it may have.
struct Box {
  int figure;  // index into Scene::figures
  double centre, base, height, width;
  bool shadow;  // it stands on something
  bool flipped;
};

/// Boxes in drawing order. Follows from the scene alone, its layout seed included.
std::vector<Box> lay_out(const Scene& scene, const SpriteSet& sprites);

/// Where a single figure is: "on the left", "in the center" or "on the right".
std::string position_of(const Scene& scene, const SpriteSet& sprites);

}  // namespace longhand
