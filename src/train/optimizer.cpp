#include "train/optimizer.h"

#include <ATen/Dispatch.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "core/error.h"
#include "nn/parallel.h"
#include "nn/weights.h"
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

/// Muon's parameters: weights that map one layer's channels to the next one's. Vectors, embeddings
/// and what stands at the model's edges are left to AdamW (Jordan 2024).
bool is_hidden_matrix(const std::string& name, const at::Tensor& weight) {
  if (weight.dim() < 2) {
    return false;
  }
  const auto has = [&](const char* part) { return name.find(part) != std::string::npos; };
  return !has("embed") && !has("conv_in") && !has("conv_out");
}

/// The nearest half-orthogonal matrix, about, to a [rows, columns] one: five steps of
/// Newton-Schulz in bfloat16 with the coefficients of Jordan 2024, scaled so that the root mean
/// square of its elements is that of AdamW's updates (Liu et al. 2025, equation 4). As
/// torch.optim.Muon with adjust_lr_fn="match_rms_adamw".
at::Tensor orthogonalised(const at::Tensor& matrix) {
  const bool tall = matrix.size(0) > matrix.size(1);
  at::Tensor x = (tall ? matrix.t() : matrix).to(at::kBFloat16).contiguous();
  x.div_(at::linalg_vector_norm(x).clamp_min_(1e-7));
  for (int i = 0; i < 5; ++i) {
    const at::Tensor gram = x.mm(x.t());
    x = at::addmm(x, at::addmm(gram, gram, gram, -4.7750, 2.0315), x, 3.4445);
  }
  const auto longer = static_cast<double>(std::max(matrix.size(0), matrix.size(1)));
  return (tall ? x.t() : x).to(at::kFloat).mul_(0.2 * std::sqrt(longer));
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
  const auto place = [&](bool matrices) {
    for (const auto& [name, tensor] : parameters) {
      if (matrices == (config.muon && is_hidden_matrix(name, tensor))) {
        places_.push_back({name, tensor.sizes().vec(), total});
        total += tensor.numel();
      }
    }
  };
  place(true);
  matrices_ = total;
  place(false);
  master_ = at::empty({total}, at::kFloat);
  compute_ = at::empty({total}, compute);
  gradient_ = at::zeros({total}, compute);
  moment1_ = at::zeros({total}, at::kFloat);
  moment2_ = at::zeros({total - matrices_}, at::kFloat);
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
/// ahead as Nesterov's, made orthogonal.
void Optimizer::update_by_muon(double clip, double rate, double average) {
  if (matrices_ == 0) {
    return;
  }
  const auto own = [&](const at::Tensor& flat) { return flat.narrow(0, 0, matrices_); };
  const at::Tensor gradient = own(gradient_).to(at::kFloat).mul_(clip);
  own(moment1_).lerp_(gradient, 1 - config_.muon_momentum);
  at::Tensor direction = gradient.lerp(own(moment1_), config_.muon_momentum);
  for (const Place& place : places_) {
    if (place.offset >= matrices_) {
      break;
    }
    const std::int64_t count = c10::multiply_integers(place.shape);
    at::Tensor matrix = direction.narrow(0, place.offset, count).view({place.shape[0], -1});
    matrix.copy_(orthogonalised(matrix));
  }
  own(master_).mul_(1 - rate * config_.weight_decay).sub_(direction, rate);
  own(ema_).lerp_(own(master_), average);
  own(gradient_).zero_();
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
        parallel_for(size() - matrices_, [&](std::int64_t begin, std::int64_t end) {
          std::array<float, 2048> part;  // of the gradient, as float32: stays in the first cache
          for (std::int64_t i = begin; i < end; i += std::ssize(part)) {
            const std::int64_t length = std::min<std::int64_t>(std::ssize(part), end - i);
            std::copy_n(gradient + i, length, part.data());
            std::fill_n(gradient + i, length, scalar_t(0));
            update_part(update, length, part.data(), master + i, moment1 + i, moment2 + i, ema + i);
          }
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
