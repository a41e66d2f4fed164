// What every training run shares: resuming, checkpoints, the progress line, losses.csv, sample
// sheets.
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

/// Runs `forward_backward(step)` (computes a loss and calls backward()) and the optimizer from
/// where the checkpoint stands to recipe.steps. Every sample_minutes, and at the end, `review()` is
/// called with the averaged parameters in the model; its sheet goes to out/samples/, its figures to
/// out/reviews.jsonl. On Ctrl-C it saves and throws cancelled.
void run_training(const Recipe& recipe, Optimizer& optimizer,
                  const std::function<double(std::int64_t step)>& forward_backward,
                  const std::function<Review()>& review);

/// Where a resumed run goes on: 0, or the step in out/state.json.
std::int64_t resumed_step(const Recipe& recipe);

/// Adds a newcomer to the average of the losses that the progress line shows.
double smoothed(double average, double value);

}  // namespace longhand
