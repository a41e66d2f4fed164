#include "train/optimizer.h"

#include <cmath>
#include <numbers>

#include "core/error.h"
#include "nn/weights.h"

namespace longhand {

double learning_rate(const OptimizerConfig& config, std::int64_t step, std::int64_t total_steps) {
  if (step < config.warmup_steps) {
    return config.learning_rate * static_cast<double>(step + 1) /
           static_cast<double>(config.warmup_steps);
  }
  const double span =
      static_cast<double>(std::max<std::int64_t>(1, total_steps - config.warmup_steps));
  const double done = std::min(1.0, static_cast<double>(step - config.warmup_steps) / span);
  return config.final_learning_rate + (config.learning_rate - config.final_learning_rate) * 0.5 *
                                          (1 + std::cos(std::numbers::pi * done));
}

Optimizer::Optimizer(const std::map<std::string, at::Tensor>& parameters,
                     const OptimizerConfig& config, at::ScalarType compute)
    : config_(config) {
  std::int64_t total = 0;
  for (const auto& [name, tensor] : parameters) {
    places_.push_back({name, tensor.sizes().vec(), total});
    total += tensor.numel();
  }
  master_ = at::empty({total}, at::kFloat);
  compute_ = at::empty({total}, compute);
  gradient_ = at::zeros({total}, compute);
  moment1_ = at::zeros({total}, at::kFloat);
  moment2_ = at::zeros({total}, at::kFloat);
  for (const Place& place : places_) {
    at::Tensor tensor = parameters.at(place.name);
    const std::int64_t count = tensor.numel();
    master_.narrow(0, place.offset, count).copy_(tensor.flatten());
    tensor.set_data(compute_.narrow(0, place.offset, count).view(place.shape));
    tensor.set_requires_grad(true);
    tensor.mutable_grad() = gradient_.narrow(0, place.offset, count).view(place.shape);
  }
  compute_.copy_(master_);
  ema_ = master_.clone();
}

double Optimizer::step(std::int64_t step, std::int64_t total_steps) {
  const c10::AutoGradMode no_grad(false);
  at::Tensor gradient = gradient_.to(at::kFloat);
  gradient_.zero_();
  const double norm = gradient.norm().item<double>();
  if (!std::isfinite(norm)) {
    return norm;
  }
  if (norm > config_.clip_norm) {
    gradient.mul_(config_.clip_norm / norm);
  }
  ++updates_;
  const at::Tensor count = at::full({}, static_cast<double>(updates_), at::kFloat);
  at::_fused_adamw_({master_}, {gradient}, {moment1_}, {moment2_}, {}, {count},
                    learning_rate(config_, step, total_steps), config_.beta1, config_.beta2,
                    config_.weight_decay, 1e-8, false, false);
  // Early on the average follows quickly, so that the first sample sheets show something.
  const double decay = std::min(config_.ema_decay, (1.0 + static_cast<double>(updates_)) /
                                                       (10.0 + static_cast<double>(updates_)));
  ema_.lerp_(master_, 1 - decay);
  compute_.copy_(master_);
  return norm;
}

std::map<std::string, at::Tensor> Optimizer::named(const at::Tensor& flat) const {
  std::map<std::string, at::Tensor> tensors;
  for (const Place& place : places_) {
    const std::int64_t count = c10::multiply_integers(place.shape);
    tensors[place.name] = flat.narrow(0, place.offset, count).view(place.shape);
  }
  return tensors;
}

Optimizer::UseAverage::UseAverage(Optimizer& optimizer) : optimizer_(optimizer) {
  const c10::AutoGradMode no_grad(false);
  optimizer_.compute_.copy_(optimizer_.ema_);
}

Optimizer::UseAverage::~UseAverage() {
  const c10::AutoGradMode no_grad(false);
  optimizer_.compute_.copy_(optimizer_.master_);
}

void Optimizer::save(const fs::path& path) const {
  save_tensors(path,
               {{"master", master_},
                {"ema", ema_},
                {"moment1", moment1_},
                {"moment2", moment2_},
                {"updates", at::full({1}, updates_, at::kLong)}},
               at::kFloat);
}

void Optimizer::load(const fs::path& path) {
  const auto tensors = load_tensors(path);
  const auto restore = [&](const char* name, at::Tensor& into) {
    const auto found = tensors.find(name);
    if (found == tensors.end() || found->second.sizes() != into.sizes()) {
      fail(Kind::corrupt,
           "{} is a checkpoint of another model ({} does not fit); remove it to start anew",
           path.string(), name);
    }
    into.copy_(found->second);
  };
  at::Tensor updates = at::zeros({1}, at::kLong);
  restore("master", master_);
  restore("ema", ema_);
  restore("moment1", moment1_);
  restore("moment2", moment2_);
  restore("updates", updates);
  updates_ = updates.item<std::int64_t>();
  compute_.copy_(master_);
}

}  // namespace longhand
