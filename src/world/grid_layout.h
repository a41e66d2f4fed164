// Where a scene's figures are on the cells of an autoencoder: few places and two sizes, so that a
// thing is one of few patterns of latents, and large ones, so that a small painter learns them.
#pragma once

#include <vector>

#include "world/layout.h"

namespace longhand {

/// Things fit into a square of 7 sixteenths of the side, or of 10: one that is large and alone, and
/// the farther of two in depth. Bases and centres are whole cells of grid×grid, a multiple of 16;
/// nothing is flipped. Three and four of a kind stand in two rows.
std::vector<Box> lay_out_on_grid(const Scene& scene, const SpriteSet& sprites, int grid);

}  // namespace longhand
