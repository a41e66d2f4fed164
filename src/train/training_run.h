// What every training run shares: resuming, checkpoints, reviews, and the ranks' agreement on them.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "io/image.h"
#include "train/optimizer.h"
#include "train/recipe.h"

namespace longhand {

/// What is looked at every few minutes, with the averaged parameters in the model.
struct Review {
  std::optional<Image> sheet;
  std::map<std::string, double> figures;  // by name: losses on scenes that are not trained on
};

/// Runs `forward_backward(step)` (computes the loss of this rank's part of the batch and calls
/// backward()) and the optimizer from where the checkpoint stands to recipe.steps. Every
/// sample_minutes, and at the end, rank 0 calls `review()` with the averaged parameters in the
/// model. Figures go where train/training_log.h says. On Ctrl-C it saves and throws cancelled.
/// Every snapshot_steps rank 0 copies the model's folder to out/snapshots/PICTURES, with so many
/// pictures seen, and calls `write_model(folder)` with the copy.
void run_training(const Recipe& recipe, Optimizer& optimizer,
                  const std::function<double(std::int64_t step)>& forward_backward,
                  const std::function<Review()>& review,
                  const std::function<void(const fs::path& folder)>& write_model = {});

/// Where a resumed run goes on: 0, or the step in out/state.json.
std::int64_t resumed_step(const Recipe& recipe);

}  // namespace longhand
