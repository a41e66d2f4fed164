// Stroke paintings simulated from photos, to test editing with (Meng et al. 2022, the appendix's
// human-stroke simulation: a median filter of 23 pixels at 256×256, then six colours).
#pragma once

#include <array>
#include <optional>
#include <tuple>
#include <vector>

#include "core/fields.h"
#include "io/image.h"

namespace longhand {

struct StrokeOptions {
  std::optional<int> kernel;
  int colours = 6;

  static constexpr auto fields = std::tuple{
      field("kernel", &StrokeOptions::kernel,
            "pixels of the median filter, an odd number (default: 23 for a shorter side of 256, in "
            "proportion)",
            1, 999),
      field("colours", &StrokeOptions::colours, "how many", 1, 256),
  };
};

/// RGB of the picture's size, in at most that many colours; what is transparent is painted white.
/// Throws invalid_argument for an even or too large kernel.
Image strokes_of(const Image& photo, const StrokeOptions& options);

/// Each channel's median in a square of `size` pixels, an odd number; beyond its edges the RGB
/// picture goes on as it ends.
Image median(const Image& picture, int size);

using Colour = std::array<std::uint8_t, 3>;

/// At most `count` colours that stand for all of an RGB picture's: median cut (Heckbert 1982), then
/// k-means from there. The same picture gives the same palette.
std::vector<Colour> palette_of(const Image& picture, int count);

/// Each pixel of an RGB picture as the palette's nearest colour.
Image quantised(const Image& picture, const std::vector<Colour>& palette);

}  // namespace longhand
