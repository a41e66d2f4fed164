// Weather, painted over a place that is out of doors and behind the figures.
#pragma once

#include <string>
#include <vector>

#include "core/random.h"
#include "world/brushes.h"

namespace longhand {

struct Weather {
  const char* name;                  // "in the rain": what a caption says after the place
  std::vector<const char*> details;  // sentences, one of which a descriptive caption adds
  void (*paint)(Raster& canvas, Random& random);
};

/// Throws invalid_argument.
const Weather& weather_named(const std::string& name);

}  // namespace longhand
