// Places: a ground, a horizon, a sky and their weather, painted behind the figures.
#pragma once

#include <string>
#include <vector>

#include "core/random.h"

namespace longhand {

/// A float RGB picture while a scene is composed: pixels[(y * size + x) * 3 + c] in 0…1.
struct Canvas {
  int size;
  std::vector<float> pixels;
};

struct Place {
  const char* name;    // "on a meadow": what a caption says after the thing
  const char* detail;  // the sentence that a descriptive caption may add
  const char* short_name;  // as a short prompt says it: "on the grass"
  double ground;  // where things stand: the upper edge of the ground's free part, a share of the height
  bool floating;  // things hover anywhere (under the sea)
  void (*paint)(Canvas& canvas, Random& random);
};

const std::vector<Place>& all_places();
/// Throws invalid_argument.
const Place& place_named(const std::string& name);

}  // namespace longhand
