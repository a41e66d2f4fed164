#include "train/training_run.h"

#include <chrono>
#include <cmath>
#include <fstream>

#include "core/error.h"
#include "core/interrupt.h"
#include "core/log.h"
#include "core/progress.h"
#include "models/config.h"

namespace longhand {
namespace {

using Clock = std::chrono::steady_clock;

double minutes_since(Clock::time_point moment) {
  return std::chrono::duration<double>(Clock::now() - moment).count() / 60;
}

/// The tensors first, then the small file that says they are complete; each is replaced atomically.
void save_checkpoint(const Recipe& recipe, const Optimizer& optimizer, std::int64_t step) {
  const std::string file = fmt::format("checkpoint-{}.safetensors", step);
  const fs::path state_path = recipe.out / "state.json";
  std::string previous;
  if (fs::exists(state_path)) {
    previous = config_value<std::string>(read_config(state_path), "checkpoint", "");
  }
  optimizer.save(recipe.out / file);
  write_file_atomically(state_path, nlohmann::json{{"step", step}, {"checkpoint", file}}.dump(2));
  if (!previous.empty() && previous != file) {
    fs::remove(recipe.out / previous);
  }
}

void write_review(const Recipe& recipe, Optimizer& optimizer, std::int64_t step,
                  const std::function<Review()>& review) {
  const Optimizer::UseAverage averaged(optimizer);
  const Review seen = review();
  if (seen.sheet) {
    write_file_atomically(recipe.out / "samples" / fmt::format("{:06}.png", step),
                          encode_png(*seen.sheet));
  }
  nlohmann::json line = seen.figures;
  line["step"] = step;
  spdlog::info("review: {}", line.dump());
  std::ofstream(recipe.out / "reviews.jsonl", std::ios::app) << line.dump() << '\n';
}

}  // namespace

double smoothed(double average, double value) {
  return average == 0 ? value : average + 0.02 * (value - average);
}

std::int64_t resumed_step(const Recipe& recipe) {
  const fs::path state = recipe.out / "state.json";
  return fs::exists(state) ? config_value<std::int64_t>(read_config(state), "step", 0) : 0;
}

void run_training(const Recipe& recipe, Optimizer& optimizer,
                  const std::function<double(std::int64_t step)>& forward_backward,
                  const std::function<Review()>& review) {
  std::int64_t step = resumed_step(recipe);
  if (step > 0) {
    const auto file =
        config_value<std::string>(read_config(recipe.out / "state.json"), "checkpoint", "");
    optimizer.load(recipe.out / file);
    spdlog::info("going on at step {} from {}", step, (recipe.out / file).string());
  }
  fs::create_directories(recipe.out);
  std::ofstream losses(recipe.out / "losses.csv", std::ios::app);
  Progress progress("training", "pictures", recipe.steps * recipe.batch, step * recipe.batch);
  auto saved = Clock::now(), sampled = saved;
  double average = 0;
  while (step < recipe.steps) {
    // Noise belongs to a step, so that a resumed run sees what an unbroken one would have seen.
    at::manual_seed(recipe.seed * 1000003 + static_cast<std::uint64_t>(step));
    const double loss = forward_backward(step);
    const double norm = optimizer.step(step, recipe.steps);
    ++step;
    average = smoothed(average, loss);
    losses << step << ',' << loss << ',' << norm << '\n';
    progress.advance(recipe.batch, fmt::format("step {}, loss {:.4f}", step, average));
    if (interrupted()) {
      save_checkpoint(recipe, optimizer, step);
      fail(Kind::cancelled, "stopped at step {}; the same command goes on from there", step);
    }
    if (minutes_since(saved) > recipe.checkpoint_minutes || step == recipe.steps) {
      losses.flush();
      save_checkpoint(recipe, optimizer, step);
      saved = Clock::now();
    }
    if (minutes_since(sampled) > recipe.sample_minutes || step == recipe.steps) {
      write_review(recipe, optimizer, step, review);
      sampled = Clock::now();
    }
  }
}

}  // namespace longhand
