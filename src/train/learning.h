// A training, from its recipe to the model's folder.
#pragma once

#include "core/log.h"
#include "nn/dtype.h"
#include "train/loader.h"
#include "train/ranks.h"
#include "train/recipe.h"
#include "train/training_run.h"

namespace longhand {

/// Training(recipe) has parameters() by name, batch(step), which is made in the background,
/// forward_backward(batch), review() and write_model(optimizer, folder).
template <class Training>
void learn(const Recipe& recipe, const char* what) {
  const Training training(recipe);
  Optimizer optimizer(training.parameters(), recipe.optimizer, dtype_named(recipe.dtype));
  spdlog::info("{}: {:.2f} million parameters", what, static_cast<double>(optimizer.size()) / 1e6);
  Loader<decltype(training.batch(0))> loader(
      [&](std::int64_t step) { return training.batch(step); }, resumed_step(recipe));
  run_training(
      recipe, optimizer, [&](std::int64_t) { return training.forward_backward(loader.next()); },
      [&] { return training.review(); },
      [&](const fs::path& folder) { training.write_model(optimizer, folder); });
  if (ranks::rank() == 0) {
    training.write_model(optimizer, recipe.model);
  }
}

}  // namespace longhand
