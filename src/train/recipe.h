// A recipe says what is trained, on what, for how long: a JSON file under runs/, or one's own.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "core/files.h"
#include "train/optimizer.h"

namespace longhand {

struct Recipe {
  std::string kind;  // "autoencoder", "clip", "painter", "prior",
                     // "autoregressive_prior", "super_resolution", "captioner", "detector" or
                     // "recaption"
  fs::path out;      // checkpoints, sample sheets and, at the end, weights; ignored by git
  fs::path model;    // the model folder that finished weights go to
  std::string world = "small";  // data/worlds/NAME.json: what scenes are made of
  std::uint64_t seed = 0;
  std::int64_t steps = 1000;
  int batch = 16;
  int resolution = 128;
  double checkpoint_minutes = 3;
  double sample_minutes = 5;
  std::int64_t snapshot_steps = 0;  // how often the model as it is then is kept; 0: never
  std::string dtype = "auto";
  OptimizerConfig optimizer;
  nlohmann::json config;  // all of the file, for what one kind alone needs

  /// Relative paths are taken from the working folder. Throws not_found, corrupt naming the field.
  static Recipe load(const fs::path& path);
};

/// Trains what the recipe says: resumes from the checkpoint in `out`, saves every few minutes and
/// on Ctrl-C, writes the finished weights to `model`. Started by mpirun, each rank takes its part
/// of every batch; folders are shared, rank 0 writes. Throws invalid_argument for a batch that the
/// ranks cannot share alike.
void train(const Recipe& recipe);

void train_autoencoder(const Recipe& recipe);
void train_clip(const Recipe& recipe);
void train_painter(const Recipe& recipe);
void train_prior(const Recipe& recipe);
void train_autoregressive_prior(const Recipe& recipe);
void train_super_resolution(const Recipe& recipe);
void train_captioner(const Recipe& recipe);
void train_detector(const Recipe& recipe);
void recaption(const Recipe& recipe);

}  // namespace longhand
