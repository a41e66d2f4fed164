#include "train/training_log.h"

#include <charconv>
#include <sstream>

#include "core/log.h"

namespace longhand {
namespace {

constexpr int steps_an_event = 10;

/// The step that a row of losses.csv or of reviews.jsonl tells of; 0 where it was cut off.
std::int64_t step_of(const std::string& row) {
  if (row.starts_with('{')) {
    const auto review = nlohmann::json::parse(row, nullptr, /*allow_exceptions=*/false);
    return review.is_object() ? review.value("step", 0) : 0;
  }
  std::int64_t step = 0;
  std::from_chars(row.data(), row.data() + row.size(), step);
  return step;
}

/// A file of rows with those up to a step; those of later steps are dropped from it.
fs::path rows_until(const fs::path& path, std::int64_t done) {
  if (!fs::exists(path)) {
    return path;
  }
  std::istringstream rows(read_file(path));
  std::string kept;
  for (std::string row; std::getline(rows, row);) {
    const std::int64_t step = step_of(row);
    if (step > 0 && step <= done) {
      kept += row + '\n';
    }
  }
  write_file_atomically(path, kept);
  return path;
}

}  // namespace

TrainingLog::TrainingLog(const Recipe& recipe, std::int64_t done)
    : recipe_(recipe),
      losses_(rows_until(recipe.out / "losses.csv", done), std::ios::app),
      reviews_(rows_until(recipe.out / "reviews.jsonl", done), std::ios::app),
      events_(recipe.out, done + 1),
      progress_("training", "pictures", recipe.steps * recipe.batch, done * recipe.batch) {}

void TrainingLog::add(std::int64_t step, const StepFigures& figures) {
  losses_ << fmt::format("{},{},{}\n", step, figures.loss, figures.gradient_norm);
  average_ = average_ == 0 ? figures.loss : average_ + 0.02 * (figures.loss - average_);
  progress_.advance(recipe_.batch, fmt::format("step {}, loss {:.4f}", step, average_));
  ++steps_;
  loss_sum_ += figures.loss;
  seconds_ += figures.seconds;
  if (step % steps_an_event == 0 || step == recipe_.steps) {
    events_.scalars(step, {{"loss", loss_sum_ / steps_},
                           {"learning_rate", figures.learning_rate},
                           {"gradient_norm", figures.gradient_norm},
                           {"images_per_second", steps_ * recipe_.batch / seconds_}});
    loss_sum_ = seconds_ = steps_ = 0;
  }
}

void TrainingLog::add(std::int64_t step, const Review& review) {
  if (review.sheet) {
    write_file_atomically(recipe_.out / "samples" / fmt::format("{:06}.png", step),
                          encode_png(*review.sheet));
    events_.image(step, "samples", *review.sheet);
  }
  std::map<std::string, double> scalars;
  for (const auto& [name, value] : review.figures) {
    scalars["review/" + name] = value;
  }
  events_.scalars(step, scalars);
  nlohmann::json line = review.figures;
  line["step"] = step;
  spdlog::info("review: {}", line.dump());
  reviews_ << line.dump() << '\n' << std::flush;
}

}  // namespace longhand
