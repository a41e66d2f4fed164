#include "train/optimizer.h"

#include <ATen/Dispatch.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <set>

#include "core/error.h"
#include "nn/parallel.h"
#include "nn/weights.h"
#include "train/muon.h"
#include "train/ranks.h"

namespace longhand {
namespace {

/// What a step of AdamW (Loshchilov and Hutter 2019, algorithm 2) multiplies with.
struct Update {
  float clip, beta1, beta2, rate, correction, keep, average;
};

/// One pass over memory: AdamW's moments and weights, and the average. Compiled for the processor's
/// widest vectors, chosen at run time.
__attribute__((target_clones("avx512f", "avx2", "default"))) void update_part(
    const Update& u, std::int64_t length, const float* gradient, float* master, float* moment1,
    float* moment2, float* ema) {
  for (std::int64_t i = 0; i < length; ++i) {
    const float g = gradient[i] * u.clip;
    const float m = moment1[i] = u.beta1 * moment1[i] + (1 - u.beta1) * g;
    const float v = moment2[i] = u.beta2 * moment2[i] + (1 - u.beta2) * g * g;
    master[i] = u.keep * master[i] - u.rate * m / (std::sqrt(v) * u.correction + 1e-8F);
    ema[i] += u.average * (master[i] - ema[i]);
  }
}

constexpr std::int64_t part_length = 2048;  // stays in the first cache

/// Muon's momentum, and the direction that is looked ahead in: Nesterov's.
__attribute__((target_clones("avx512f", "avx2", "default"))) void look_ahead(
    float clip, float momentum, std::int64_t length, float* gradient, float* moment) {
  for (std::int64_t i = 0; i < length; ++i) {
    const float g = gradient[i] * clip;
    moment[i] += (1 - momentum) * (g - moment[i]);
    gradient[i] = g + momentum * (moment[i] - g);
  }
}

/// A step in a direction, and the average.
__attribute__((target_clones("avx512f", "avx2", "default"))) void follow(
    const Update& u, std::int64_t length, const float* direction, float* master, float* ema) {
  for (std::int64_t i = 0; i < length; ++i) {
    master[i] = u.keep * master[i] - u.rate * direction[i];
    ema[i] += u.average * (master[i] - ema[i]);
  }
}

/// Calls body(first, length, part) on parts of `count` numbers, with room for one of them in
/// float32.
template <class Body>
void in_parts(std::int64_t count, const Body& body) {
  parallel_for(count, [&](std::int64_t begin, std::int64_t end) {
    std::array<float, part_length> part;
    for (std::int64_t i = begin; i < end; i += part_length) {
      body(i, std::min(part_length, end - i), part.data());
    }
  });
}

/// Muon's matrices in the order in which they lie: those of one shape together.
std::vector<std::string> hidden_matrices(const std::map<std::string, at::Tensor>& parameters) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : parameters) {
    if (is_hidden_matrix(name, tensor)) {
      names.push_back(name);
    }
  }
  std::ranges::stable_sort(names, {}, [&](const std::string& name) {
    const at::Tensor& tensor = parameters.at(name);
    return std::pair(tensor.size(0), tensor.numel());
  });
  return names;
}

}  // namespace

double learning_rate(const OptimizerConfig& config, std::int64_t step, std::int64_t total_steps) {
  if (step < config.warmup_steps) {
    return config.learning_rate * static_cast<double>(step + 1) /
           static_cast<double>(config.warmup_steps);
  }
  const double steps = static_cast<double>(total_steps);
  const double begin =
      std::max(static_cast<double>(config.warmup_steps), steps * (1 - config.decay_share));
  const double done =
      std::clamp((static_cast<double>(step) - begin) / std::max(1.0, steps - begin), 0.0, 1.0);
  return config.final_learning_rate + (config.learning_rate - config.final_learning_rate) * 0.5 *
                                          (1 + std::cos(std::numbers::pi * done));
}

Optimizer::Optimizer(const std::map<std::string, at::Tensor>& parameters,
                     const OptimizerConfig& config, at::ScalarType compute)
    : config_(config) {
  std::int64_t total = 0;
  std::set<std::string> placed;
  const auto place = [&](const std::string& name) {
    const at::Tensor& tensor = parameters.at(name);
    places_.push_back({name, tensor.sizes().vec(), total});
    total += tensor.numel();
    placed.insert(name);
  };
  for (const std::string& name :
       config.muon ? hidden_matrices(parameters) : std::vector<std::string>()) {
    const at::Tensor& tensor = parameters.at(name);
    const std::int64_t rows = tensor.size(0), columns = tensor.numel() / rows;
    if (groups_.empty() || groups_.back().rows != rows || groups_.back().columns != columns) {
      groups_.push_back({total, 0, rows, columns});
    }
    ++groups_.back().count;
    place(name);
  }
  matrices_ = total;
  for (const auto& [name, tensor] : parameters) {
    if (!placed.contains(name)) {
      place(name);
    }
  }
  master_ = at::empty({total}, at::kFloat);
  compute_ = at::empty({total}, compute);
  gradient_ = at::zeros({total}, compute);
  moment1_ = at::zeros({total}, at::kFloat);
  moment2_ = at::zeros({total - matrices_}, at::kFloat);
  direction_ = at::empty({matrices_}, compute);
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

void Optimizer::average_over_ranks() {
  if (ranks::size() > 1) {
    at::Tensor sum = gradient_.to(at::kFloat);
    ranks::sum(sum);
    gradient_.copy_(sum.div_(ranks::size()));
  }
}

double Optimizer::step(std::int64_t step, std::int64_t total_steps) {
  const c10::AutoGradMode no_grad(false);
  average_over_ranks();
  const double norm = at::linalg_vector_norm(gradient_, 2, {}, false, at::kFloat).item<double>();
  if (!std::isfinite(norm)) {
    gradient_.zero_();
    return norm;
  }
  ++updates_;
  const double rate = learning_rate(config_, step, total_steps);
  const double clip = std::min(1.0, config_.clip_norm / norm);
  // Early on the average follows quickly, so that the first sample sheets show something.
  const double count = static_cast<double>(updates_);
  const double average = 1 - std::min(config_.ema_decay, (1.0 + count) / (10.0 + count));
  update_by_muon(clip, rate, average);
  update_by_adamw(clip, rate, average);
  compute_.copy_(master_);
  return norm;
}

/// Jordan 2024, "Muon: an optimizer for hidden layers in neural networks": the momentum, looked
/// ahead as Nesterov's, made orthogonal. Two passes over memory, one before and one after that.
void Optimizer::update_by_muon(double clip, double rate, double average) {
  if (matrices_ == 0) {
    return;
  }
  Update update{};
  update.rate = static_cast<float>(rate);
  update.keep = static_cast<float>(1 - rate * config_.weight_decay);
  update.average = static_cast<float>(average);
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kBFloat16, at::kHalf, gradient_.scalar_type(), "Optimizer::update_by_muon", [&] {
        auto* gradient = gradient_.mutable_data_ptr<scalar_t>();
        auto* direction = direction_.mutable_data_ptr<scalar_t>();
        auto* moment = moment1_.mutable_data_ptr<float>();
        in_parts(matrices_, [&](std::int64_t i, std::int64_t length, float* part) {
          std::copy_n(gradient + i, length, part);
          std::fill_n(gradient + i, length, scalar_t(0));
          look_ahead(static_cast<float>(clip), static_cast<float>(config_.muon_momentum), length,
                     part, moment + i);
          std::copy_n(part, length, direction + i);
        });
        orthogonalise(direction_, groups_);
        auto *master = master_.mutable_data_ptr<float>(), *ema = ema_.mutable_data_ptr<float>();
        in_parts(matrices_, [&](std::int64_t i, std::int64_t length, float* part) {
          std::copy_n(direction + i, length, part);
          follow(update, length, part, master + i, ema + i);
        });
      });
}

void Optimizer::update_by_adamw(double clip, double rate, double average) {
  const double count = static_cast<double>(updates_);
  const Update update{
      static_cast<float>(clip),
      static_cast<float>(config_.beta1),
      static_cast<float>(config_.beta2),
      static_cast<float>(rate / (1 - std::pow(config_.beta1, count))),
      static_cast<float>(1 / std::sqrt(1 - std::pow(config_.beta2, count))),
      static_cast<float>(1 - rate * config_.weight_decay),
      static_cast<float>(average),
  };
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kBFloat16, at::kHalf, gradient_.scalar_type(), "Optimizer::step", [&] {
        auto* gradient = gradient_.mutable_data_ptr<scalar_t>() + matrices_;
        auto* master = master_.mutable_data_ptr<float>() + matrices_;
        auto* moment1 = moment1_.mutable_data_ptr<float>() + matrices_;
        auto* moment2 = moment2_.mutable_data_ptr<float>();
        auto* ema = ema_.mutable_data_ptr<float>() + matrices_;
        in_parts(size() - matrices_, [&](std::int64_t i, std::int64_t length, float* part) {
          std::copy_n(gradient + i, length, part);
          std::fill_n(gradient + i, length, scalar_t(0));
          update_part(update, length, part, master + i, moment1 + i, moment2 + i, ema + i);
        });
      });
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

/// A number that stands for the parameters' names in the order in which they lie.
at::Tensor Optimizer::order() const {
  std::uint32_t hash = 2166136261U;  // FNV-1a
  for (const Place& place : places_) {
    for (const char letter : place.name + '\n') {
      hash = (hash ^ static_cast<unsigned char>(letter)) * 16777619U;
    }
  }
  return at::full({1}, static_cast<std::int64_t>(hash), at::kLong);
}

void Optimizer::save(const fs::path& path) const {
  save_tensors(path,
               {{"master", master_},
                {"ema", ema_},
                {"moment1", moment1_},
                {"moment2", moment2_},
                {"updates", at::full({1}, updates_, at::kLong)},
                {"order", order()}},
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
  at::Tensor updates = at::zeros({1}, at::kLong), stored = at::empty_like(order());
  restore("order", stored);
  if (!at::equal(stored, order())) {
    fail(Kind::corrupt,
         "{} is a checkpoint of a model whose parameters have other names or lie in "
         "another order; remove it to start anew",
         path.string());
  }
  restore("master", master_);
  restore("ema", ema_);
  restore("moment1", moment1_);
  restore("moment2", moment2_);
  restore("updates", updates);
  updates_ = updates.item<std::int64_t>();
  compute_.copy_(master_);
}

}  // namespace longhand
