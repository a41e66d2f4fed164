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
  const char* name;                  // "on a green meadow": what a caption says after the thing
  const char* short_name;            // as a short prompt says it: "on the grass"
  std::vector<const char*> details;  // sentences, one of which a descriptive caption adds
  bool floating;                     // things hover anywhere (under the sea)
  void (*paint)(Canvas& canvas, Random& random);
};

const std::vector<Place>& all_places();
/// Throws invalid_argument.
const Place& place_named(const std::string& name);
/// Names of the places where a kind of thing is mostly met, the likelier ones more than once.
const std::vector<std::string>& usual_places(const std::string& kind);
/// A place without figures, its edges smoothed.
Canvas painted(const Place& place, int size, Random& random);

}  // namespace longhand
