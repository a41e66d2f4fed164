// What a detector of scenes is to find in a scene (models/scene_detector.h), cell by cell.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <vector>

#include "models/scene_detector.h"
#include "world/layout.h"
#include "world/world.h"

namespace longhand {

/// A detector's settings, with all that a world has to be named.
SceneDetectorConfig naming(SceneDetectorConfig config, const World& world);

/// What is true of a batch. Indices are those of the detector's names; the last one more is "none".
struct SceneTruth {
  at::Tensor middle;                 // [batch, side, side]: 1 in the cell of a middle, less beside
  at::Tensor cells;                  // [n] of batch·side·side: those that say what is there
  at::Tensor thing, colour, word;    // [n]
  at::Tensor box;                    // [n, 4], as SceneMaps::box
  at::Tensor place, weather, style;  // [batch]
};

/// Marks the truth of a batch of so many scenes, one after another. Each box has one cell of middle
/// 1, also where its middle lies on the edge of cells (Zhou et al. 2019, section 3).
class SceneTruthMaker {
 public:
  SceneTruthMaker(const SceneDetectorConfig& config, const World& world, std::int64_t count);

  void add(const Scene& scene);
  SceneTruth truth() const;

 private:
  float& middle_at(int cell);
  void tell(const Figure& figure, const Box& box, int cell, double x, double y);
  std::int64_t area() const { return std::int64_t{config_.side()} * config_.side(); }

  const SceneDetectorConfig& config_;
  const World& world_;
  at::Tensor middle_;
  std::int64_t scenes_ = 0;
  std::vector<std::int64_t> cells_, thing_, colour_, word_, place_, weather_, style_;
  std::vector<float> box_;
};

}  // namespace longhand
