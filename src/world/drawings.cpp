#include "world/drawings.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "io/table.h"
#include "pipeline/compositing.h"

namespace longhand {

std::vector<Drawing> read_drawings(const fs::path& table) {
  const auto reader = RowReader::open(table);
  const auto column = [&](const char* name) {
    const auto found = std::ranges::find(reader->columns(), name);
    if (found == reader->columns().end()) {
      fail(Kind::corrupt, "{} has no column {}; expected Image, Title, Description and Keywords",
           table.string(), name);
    }
    return static_cast<std::size_t>(found - reader->columns().begin());
  };
  const std::size_t image = column("Image"), title = column("Title"),
                    description = column("Description"), keywords = column("Keywords");
  std::vector<Drawing> drawings;
  while (auto row = reader->next()) {
    drawings.push_back(
        {fs::path((*row)[image]), (*row)[title], (*row)[description], (*row)[keywords]});
  }
  return drawings;
}

std::string Drawing::alt_text(Random& random) const {
  const double draw = random.uniform();
  if (draw < 0.15 && !description.empty()) {
    return description;
  }
  if (draw < 0.3 && !keywords.empty()) {
    return title + ", " + keywords;
  }
  return title;
}

Image drawn(const Drawing& drawing, int size) {
  constexpr double margin = 0.06;  // on each side, as a part of the square
  const int inside = static_cast<int>(size * (1 - 2 * margin));
  Image picture = drawing.image.extension() == ".svg"
                      ? rasterize_svg(read_file(drawing.image), inside)
                      : read_image(drawing.image);
  const double scale = static_cast<double>(inside) / std::max(picture.width, picture.height);
  const auto scaled = [&](int side) {
    return std::max(1, static_cast<int>(std::lround(side * scale)));
  };
  picture = resize(picture, scaled(picture.width), scaled(picture.height));
  Image ground(size, size, 3);
  std::ranges::fill(ground.pixels, std::uint8_t{255});
  return pasted(ground, picture, (size - picture.width) / 2, (size - picture.height) / 2);
}

}  // namespace longhand
