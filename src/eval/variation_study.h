// What variations keep of a picture and what they change (Ramesh et al. 2022, section 3.1): scenes
// that were not trained on, painted anew from their embedding, from their own noise with more and
// more of DDIM's η, and from noise alone.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "eval/evaluation.h"

namespace longhand {

struct VariationStudyOptions {
  int scenes = 64;
  std::vector<double> etas = {0, 0.1, 0.2, 0.3, 0.5, 1};
  std::int64_t seed = 0;
};

/// One way to vary, over all scenes.
struct VariationPoint {
  std::optional<double> eta;  // not set: from noise alone
  Share subject;              // the scene's first thing is still seen
  Share things;               // all its things are, each in its colour
  double likeness;            // mean cosine of the two pictures in the painter's CLIP, times 100
  double difference;          // root mean square of channels 0 to 1
};

/// One scene's pictures: the scene, and a variation for each way.
using OnVariedScene = std::function<void(int scene, const std::vector<Image>& pictures)>;

/// Variations from the pictures' own noise first, in the order of their η. `options` has the
/// sampler's ddim. Throws invalid_argument for a model that cannot paint from embeddings.
std::vector<VariationPoint> variation_study(const SceneJudge& judge, const Painter& painter,
                                            const PaintOptions& options,
                                            const VariationStudyOptions& study,
                                            const OnVariedScene& on_scene);

/// The figures as a table in Markdown.
std::string variation_table(const std::vector<VariationPoint>& points);

}  // namespace longhand
