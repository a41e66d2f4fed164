// Where a run's figures go: the progress line, losses.csv, reviews.jsonl, sample sheets, and all of
// it as TensorBoard events.
#pragma once

#include "core/progress.h"
#include "train/event_file.h"
#include "train/training_run.h"

namespace longhand {

/// What a step came to.
struct StepFigures {
  double loss;
  double gradient_norm;  // before clipping
  double learning_rate;
  double seconds;
};

class TrainingLog {
 public:
  /// Goes on after `done` steps: what losses.csv and reviews.jsonl have of later ones, which a lost
  /// run took, is dropped.
  TrainingLog(const Recipe& recipe, std::int64_t done);

  /// Figures of step number 1, 2, …; each tenth goes to the events, with the mean loss since.
  void add(std::int64_t step, const StepFigures& figures);
  void add(std::int64_t step, const Review& review);
  /// What was added is in the files.
  void flush() {
    losses_.flush();
    reviews_.flush();
  }

 private:
  const Recipe& recipe_;
  std::ofstream losses_, reviews_;
  EventFile events_;
  Progress progress_;
  double average_ = 0;  // of the losses, for the progress line
  double loss_sum_ = 0, seconds_ = 0;
  int steps_ = 0;  // that these two are of
};

}  // namespace longhand
