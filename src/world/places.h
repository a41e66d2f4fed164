// Places: a ground, a horizon, a sky and their weather, painted behind the figures.
#pragma once

#include <string>
#include <vector>

#include "core/random.h"
#include "world/brushes.h"

namespace longhand {

struct Place {
  const char* name;                  // "on a green meadow": what a caption says after the thing
  const char* short_name;            // as a short prompt says it: "on the grass"
  std::vector<const char*> details;  // sentences, one of which a descriptive caption adds
  bool floating;                     // things hover anywhere (under the sea)
  bool outdoors;                     // there may be weather
  void (*paint)(Raster& canvas, Random& random);
};

const std::vector<Place>& all_places();
/// Throws invalid_argument.
const Place& place_named(const std::string& name);
/// A place without figures, its edges smoothed; weather is "" or a name. Throws invalid_argument.
Raster painted(const Place& place, const std::string& weather, int size, Random& random);

}  // namespace longhand
