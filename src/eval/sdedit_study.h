// SDEdit's trade of faithfulness for realism over t0 (Meng et al. 2022, section 3.2 and figure 3),
// on guides made of scenes that were not trained on: their strokes, or what was pasted into them
// (section 4.2).
#pragma once

#include <functional>
#include <vector>

#include "pipeline/painter.h"
#include "world/world.h"

namespace longhand {

/// The kernel inception distance of two sets of embeddings [n, d] and [m, d], in whatever space
/// they are: the unbiased squared maximum mean discrepancy with the kernel (x·y/d + 1)³ (Bińkowski
/// et al. 2018, section 4.1), of embeddings scaled to the length √d.
double kernel_distance(const at::Tensor& a, const at::Tensor& b);

enum class SdeditGuide { strokes, paste };

struct SdeditStudyOptions {
  SdeditGuide guide = SdeditGuide::strokes;
  int scenes = 64;
  int references = 512;  // scenes that are what realism is measured by
  std::vector<double> strengths = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0};
  int colours = 6;            // of the strokes
  double paste_height = 0.4;  // of the picture's
  std::int64_t seed = 0;
};

/// A strength t0 and what it gave: the kernel distance of the edited pictures from scenes, in the
/// painter's CLIP, and their root mean square difference from the guide, of channels 0 to 1, where
/// they were painted anew.
struct SdeditPoint {
  double strength, realism_distance, guide_distance;
};

struct SdeditStudy {
  SdeditPoint guide;  // the guides themselves, at strength 0: strokes, or plain pasting
  std::vector<SdeditPoint> points;
  /// The point whose two distances, each as a share of its range over all points, are least in sum.
  std::size_t best() const;
};

/// One scene's pictures: the scene, its guide, and an edit for each strength.
using OnScene = std::function<void(int scene, const std::vector<Image>& pictures)>;

/// A guide is edited towards the scene's descriptive caption and what was pasted; around what was
/// pasted, within a mask, and otherwise all of it. Throws invalid_argument for a model without
/// embeddings of pictures.
SdeditStudy sdedit_study(const World& world, const Painter& painter, const PaintOptions& options,
                         const SdeditStudyOptions& study, const OnScene& on_scene);

}  // namespace longhand
