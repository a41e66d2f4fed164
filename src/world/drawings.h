// Pictures of the world at large with the noisy texts that people gave them: a table such as
// runs/openclipart/table.py writes.
#pragma once

#include <string>
#include <vector>

#include "core/files.h"
#include "core/random.h"
#include "io/image.h"

namespace longhand {

/// What people wrote of a picture; all but the title may be "".
struct Drawing {
  fs::path image;  // an SVG or a picture
  std::string title, description, keywords;

  /// As an alt-text: mostly the title, sometimes the description or the keywords.
  std::string alt_text(Random& random) const;
};

/// A table with the columns Image, Title, Description and Keywords. Throws not_found, corrupt.
std::vector<Drawing> read_drawings(const fs::path& table);
/// Every tenth of a table is never trained on.
constexpr bool drawing_held_back(std::int64_t number) { return number % 10 == 0; }

/// On white, in the middle of a square. Throws not_found, corrupt.
Image drawn(const Drawing& drawing, int size);

}  // namespace longhand
