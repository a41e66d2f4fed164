// Parameters in one flat buffer each (float32 masters, bfloat16 copies that the model computes
// with, gradients, moments, an exponential moving average), so that a step is a few passes over
// memory. AdamW for all, or Muon for the matrices of the layers within and AdamW for the rest.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/files.h"
#include "nn/torch.h"
#include "train/muon.h"

namespace longhand {

struct OptimizerConfig {
  double learning_rate = 5e-4;
  double final_learning_rate = 1e-5;  // reached by a cosine at the last step
  double decay_share = 1;             // the cosine takes this share of the steps, the last ones
  std::int64_t warmup_steps = 200;
  double weight_decay = 0.01;
  double beta1 = 0.9;
  double beta2 = 0.99;
  double clip_norm = 1.0;
  double ema_decay = 0.999;
  bool muon = false;  // for what is_hidden_matrix says (train/muon.h)
  double muon_momentum = 0.95;
};

class Optimizer {
 public:
  /// Takes over the parameters: each tensor becomes a view of the flat buffer of `compute` type
  /// with its gradient's place beside it.
  Optimizer(const std::map<std::string, at::Tensor>& parameters, const OptimizerConfig& config,
            at::ScalarType compute);

  /// After backward(): averages the gradients over ranks, clips, updates, clears them. Returns
  /// their norm. A step whose norm is not finite is skipped.
  double step(std::int64_t step, std::int64_t total_steps);

  std::int64_t size() const { return master_.numel(); }
  /// The averaged parameters by name, float32: what is shipped.
  std::map<std::string, at::Tensor> averaged() const { return named(ema_); }

  /// While it lives, the model computes with the averaged parameters.
  class UseAverage {
   public:
    explicit UseAverage(Optimizer& optimizer);
    ~UseAverage();
    UseAverage(const UseAverage&) = delete;
    UseAverage& operator=(const UseAverage&) = delete;

   private:
    Optimizer& optimizer_;
  };

  /// All that is needed to go on: "master", "ema", "moment1", "moment2", "updates", "order".
  /// Written atomically.
  void save(const fs::path& path) const;
  /// Throws corrupt when the checkpoint is of another model.
  void load(const fs::path& path);

 private:
  struct Place {
    std::string name;
    std::vector<std::int64_t> shape;
    std::int64_t offset;
  };
  void average_over_ranks();
  void update_by_muon(double clip, double rate, double average);
  void update_by_adamw(double clip, double rate, double average);
  std::map<std::string, at::Tensor> named(const at::Tensor& flat) const;
  at::Tensor order() const;

  OptimizerConfig config_;
  std::vector<Place> places_;  // Muon's matrices first
  std::vector<MatrixGroup> groups_;
  std::int64_t matrices_ = 0;  // elements that are Muon's
  at::Tensor master_, compute_, gradient_, moment1_, ema_;
  at::Tensor moment2_;    // of what is AdamW's
  at::Tensor direction_;  // of what is Muon's, during a step
  std::int64_t updates_ = 0;
};

/// Warm-up, then constant, then over the last decay_share of the steps a cosine from learning_rate
/// to final_learning_rate.
double learning_rate(const OptimizerConfig& config, std::int64_t step, std::int64_t total_steps);

}  // namespace longhand
