#include "train/training_run.h"

#include <chrono>

#include "core/error.h"
#include "core/interrupt.h"
#include "core/log.h"
#include "models/config.h"
#include "train/ranks.h"
#include "train/training_log.h"

namespace longhand {
namespace {

using at::Tensor;
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

/// A whole model, which is there only when it is complete.
void take_snapshot(const Recipe& recipe, std::int64_t step,
                   const std::function<void(const fs::path& folder)>& write_model) {
  const fs::path folder = recipe.out / "snapshots" / fmt::format("{:08}", step * recipe.batch);
  const fs::path begun = folder.string() + ".begun";
  fs::remove_all(begun);
  fs::remove_all(folder);
  fs::create_directories(folder.parent_path());
  fs::copy(recipe.model, begun, fs::copy_options::recursive);
  write_model(begun);
  fs::rename(begun, folder);
}

/// The loss of the joined batch, and whether any rank was told to stop.
struct Agreement {
  double loss;
  bool stop;
};

Agreement agree(double loss) {
  Tensor figures = at::tensor({loss, interrupted() ? 1.0 : 0.0}, at::kDouble);
  ranks::sum(figures);
  return {figures[0].item<double>() / ranks::size(), figures[1].item<double>() > 0};
}

/// A signal that ends a review is left to the next step, at whose end all ranks save and stop.
void review_now(Optimizer& optimizer, const std::function<Review()>& review, std::int64_t step,
                TrainingLog& log) {
  const Optimizer::UseAverage averaged(optimizer);
  try {
    log.add(step, review());
  } catch (const Error& error) {
    if (error.kind() != Kind::cancelled) {
      throw;
    }
  }
}

}  // namespace

std::int64_t resumed_step(const Recipe& recipe) {
  const fs::path state = recipe.out / "state.json";
  return fs::exists(state) ? config_value<std::int64_t>(read_config(state), "step", 0) : 0;
}

void run_training(const Recipe& recipe, Optimizer& optimizer,
                  const std::function<double(std::int64_t step)>& forward_backward,
                  const std::function<Review()>& review,
                  const std::function<void(const fs::path& folder)>& write_model) {
  std::int64_t step = resumed_step(recipe);
  if (step > 0) {
    const auto file =
        config_value<std::string>(read_config(recipe.out / "state.json"), "checkpoint", "");
    optimizer.load(recipe.out / file);
    spdlog::info("going on at step {} from {}", step, (recipe.out / file).string());
  }
  if (step >= recipe.steps) {
    return;
  }
  std::optional<TrainingLog> log;  // rank 0's: it alone writes files
  if (ranks::rank() == 0) {
    fs::create_directories(recipe.out);
    log.emplace(recipe, step);
  }
  auto saved = Clock::now(), reviewed = saved;
  bool stop = false;
  while (step < recipe.steps && !stop) {
    const auto began = Clock::now();
    // Noise belongs to a step, so that a resumed run sees what an unbroken one would have seen.
    at::manual_seed(recipe.seed * 1000003 + static_cast<std::uint64_t>(step));
    const Agreement agreed = agree(forward_backward(step));
    stop = agreed.stop;
    const double norm = optimizer.step(step, recipe.steps);
    const double rate = learning_rate(recipe.optimizer, step, recipe.steps);
    ++step;
    if (!log) {
      continue;
    }
    log->add(step, {agreed.loss, norm, rate, 60 * minutes_since(began)});
    if (write_model && recipe.snapshot_steps > 0 && step % recipe.snapshot_steps == 0) {
      take_snapshot(recipe, step, write_model);
    }
    const bool last = step == recipe.steps;
    if (minutes_since(saved) > recipe.checkpoint_minutes || last || stop) {
      log->flush();
      save_checkpoint(recipe, optimizer, step);
      saved = Clock::now();
    }
    if ((minutes_since(reviewed) > recipe.sample_minutes && !stop) || last) {
      review_now(optimizer, review, step, *log);
      reviewed = Clock::now();
    }
  }
  if (stop && step < recipe.steps) {
    ranks::barrier();  // the first rank that ends takes the others with it
    fail(Kind::cancelled, "stopped at step {}; the same command goes on from there", step);
  }
}

}  // namespace longhand
