// Prompts → pairs of pictures, as typed and lengthened, of one noise: a folder with a gallery, the
// PNGs and a dataset.
#pragma once

#include <functional>
#include <optional>

#include "pipeline/draw.h"

namespace longhand {

/// One prompt and the two pictures of it.
struct Pair {
  Caption caption;
  std::int64_t seed = 0;
  Image as_typed, lengthened;
  // Its share of what its batch of rows took: many are lengthened and painted at once.
  double upsample_seconds = 0, paint_seconds = 0;
};

/// Lengthens rows and paints them, `batch` rows at once. A row's seed is the
/// request's, so that all pairs start from one noise, as caption-upsampling's dataset does. `done`
/// receives pairs in the rows' order.
void compare(const Upsampler& upsampler, const Painter& painter, const PaintRequest& resolved,
             int batch, const std::function<std::optional<UpsampleRow>()>& next,
             const std::function<void(const Pair&)>& done);

/// What the gallery shows of a pair.
struct GalleryRow {
  std::string prompt, caption, category, lost;
  std::string as_typed, lengthened;  // paths of the pictures, relative to the page
  std::string seed;
  double upsample_seconds = 0, paint_seconds = 0;
  int tokens = 0;
};

struct GalleryHead {
  std::string model, about, llm, prompt_template;
  std::string settings;  // "25 steps, guidance 5, 128x128"
};

/// A page of its own: the pairs side by side, with both texts, category, seed and timings.
std::string gallery_html(const GalleryHead& head, const std::vector<GalleryRow>& rows);

}  // namespace longhand
