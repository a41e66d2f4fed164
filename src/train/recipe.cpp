#include "train/recipe.h"

#include <map>

#include "core/error.h"
#include "core/log.h"
#include "models/config.h"
#include "train/ranks.h"

namespace longhand {
namespace {

OptimizerConfig optimizer_config(const nlohmann::json& json) {
  OptimizerConfig c;
  c.learning_rate = config_value(json, "learning_rate", c.learning_rate);
  c.final_learning_rate = config_value(json, "final_learning_rate", c.final_learning_rate);
  c.decay_share = config_value(json, "decay_share", c.decay_share);
  c.warmup_steps = config_value(json, "warmup_steps", c.warmup_steps);
  c.weight_decay = config_value(json, "weight_decay", c.weight_decay);
  c.beta1 = config_value(json, "beta1", c.beta1);
  c.beta2 = config_value(json, "beta2", c.beta2);
  c.clip_norm = config_value(json, "clip_norm", c.clip_norm);
  c.ema_decay = config_value(json, "ema_decay", c.ema_decay);
  c.muon = config_value(json, "muon", c.muon);
  c.muon_momentum = config_value(json, "muon_momentum", c.muon_momentum);
  return c;
}

}  // namespace

Recipe Recipe::load(const fs::path& path) {
  const nlohmann::json json = read_config(path);
  Recipe r;
  r.kind = config_value<std::string>(json, "kind", "");
  r.out = config_value<std::string>(json, "out", "");
  r.model = config_value<std::string>(json, "model", "");
  r.world = config_value(json, "world", r.world);
  r.seed = config_value(json, "seed", r.seed);
  r.steps = config_value(json, "steps", r.steps);
  r.batch = config_value(json, "batch", r.batch);
  r.resolution = config_value(json, "resolution", r.resolution);
  r.checkpoint_minutes = config_value(json, "checkpoint_minutes", r.checkpoint_minutes);
  r.sample_minutes = config_value(json, "sample_minutes", r.sample_minutes);
  r.snapshot_steps = config_value(json, "snapshot_steps", r.snapshot_steps);
  r.dtype = config_value(json, "dtype", r.dtype);
  r.optimizer = optimizer_config(config_value(json, "optimizer", nlohmann::json::object()));
  r.config = json;
  if (r.out.empty() || r.model.empty() || r.steps < 1 || r.batch < 1) {
    fail(Kind::corrupt, "{}: a recipe needs \"out\", \"model\", \"steps\" and \"batch\"",
         path.string());
  }
  return r;
}

namespace {

void train_on_ranks(const Recipe& recipe) {
  if (recipe.batch % ranks::size() != 0) {
    fail(Kind::invalid_argument,
         "a batch of {} cannot be shared alike by {} processes; start a number that divides it",
         recipe.batch, ranks::size());
  }
  if (ranks::rank() > 0) {
    spdlog::set_level(spdlog::level::warn);
  }
  static const std::map<std::string, void (*)(const Recipe&)> kinds = {
      {"autoencoder", train_autoencoder},
      {"clip", train_clip},
      {"painter", train_painter},
      {"prior", train_prior},
      {"captioner", train_captioner},
      {"detector", train_detector},
      {"recaption", recaption},
      {"autoregressive_prior", train_autoregressive_prior},
      {"super_resolution", train_super_resolution},
  };
  const auto found = kinds.find(recipe.kind);
  if (found == kinds.end()) {
    std::string known;
    for (const auto& [name, train] : kinds) {
      known += (known.empty() ? "" : ", ") + name;
    }
    fail(Kind::corrupt, "recipe kind \"{}\" is not known; expected one of {}", recipe.kind, known);
  }
  found->second(recipe);
}

}  // namespace

void train(const Recipe& recipe) {
  ranks::together([&] { train_on_ranks(recipe); });
}

}  // namespace longhand
