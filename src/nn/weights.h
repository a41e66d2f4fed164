// Where a model's tensors come from. A network is built by asking a Scope for each tensor by its
// name and shape, so the module tree spells the checkpoint's keys and one constructor serves mapped
// checkpoints, fresh training and lists of keys.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/files.h"
#include "nn/torch.h"

namespace longhand {

/// How a tensor starts in training; fan_in as in torch's default for linear and convolution; normal
/// with the standard deviation 1 or 0.3.
enum class Init { zeros, ones, fan_in, normal, normal_03 };

using TensorMap = std::map<std::string, at::Tensor>;
/// Brings the tensors of a foreign layout under the names that modules ask for. Each result is a
/// view of what was given (transposed, a part, another shape): nothing is copied.
using Layout = std::function<TensorMap(TensorMap)>;

/// What an adaptation of low rank adds to a weight: scale · up · down (Hu et al. 2021). Of a linear
/// layer up is [out, rank] and down [rank, in]; of a convolution [out, rank, 1, 1] and [rank, in,
/// k, k], or, with mid [rank, rank, k, k] (LyCORIS' LoCon), down [rank, in, 1, 1].
struct LowRank {
  at::Tensor up, down;
  at::Tensor mid = {};
  double scale = 1;

  /// True where the parts fit together and the product has this shape; a 1×1 convolution counts as
  /// a linear layer.
  bool fits(at::IntArrayRef weight) const;
  /// [out, in] or [out, in, k, k], float32.
  at::Tensor product() const;
};

class Weights {
 public:
  /// Tensors of one or more safetensors files, for painting, of the placement's type and on its
  /// device (a type alone: on the processor). Those that lie so in the file point into the mapping;
  /// the others are converted, and brought to the device, as they are taken. Throws not_found,
  /// corrupt.
  static Weights mapped(const std::vector<fs::path>& files, const at::TensorOptions& placement,
                        const Layout& layout = {});
  /// Random tensors for training, float32, from torch's CPU generator at `seed`.
  static Weights fresh(std::uint64_t seed);
  /// Copies a file's tensors, each under prefix + its name, over those that fresh() made: training
  /// goes on from them. Others of the file are passed over. Throws not_found, corrupt where a shape
  /// differs or nothing fits.
  void start_from(const fs::path& file, const std::string& prefix = "");
  /// Names and shapes only (meta tensors): for key lists without weights.
  static Weights shapes();

  /// True where layers lay their weights out for oneDNN once (nn/packing.h) instead of at each
  /// call.
  bool packs() const;
  /// Where the tensors are that take() gives.
  at::Device device() const { return placement_.device(); }
  /// Added to the tensor called `name`, in float32, whenever it is read. Throws corrupt where there
  /// is none or its shape does not fit.
  void add(const std::string& name, LowRank delta);
  /// A tensor of the files, channels-last, each time anew: for layouts that are made more than once
  /// and need not keep it in memory.
  std::function<at::Tensor()> channels_last(const std::string& name) const;
  /// The file's pages of a tensor that was packed or converted are not read again.
  void forget(const std::string& name) const;

  /// The tensor called `name`. A missing or misshapen one is noted, to be reported by finish().
  at::Tensor take(const std::string& name, at::IntArrayRef shape, Init init);
  /// Throws corrupt, listing every missing, misshapen and unexpected key, for the model called
  /// `what`.
  void finish(const std::string& what);
  /// What fresh() or shapes() made, by name: a trainer's parameters, a list of keys.
  const TensorMap& parameters() const { return parameters_; }
  /// What the files have, by name, as it is stored; empty after finish().
  const TensorMap& stored() const { return stored_; }
  /// True where the files have such a tensor.
  bool contains(const std::string& name) const { return stored_.contains(name); }
  /// Keys that a checkpoint may carry without a use (position_ids and the like).
  void ignore(const std::string& name) { ignored_.insert(name); }

 private:
  enum class Source { files, random, meta };
  explicit Weights(Source source) : source_(source) {}
  std::vector<LowRank> deltas_of(const std::string& name) const;

  Source source_;
  at::TensorOptions placement_ = at::TensorOptions(at::kFloat).device(at::kCPU);
  std::string origin_;
  TensorMap stored_, parameters_;
  std::map<std::string, std::vector<LowRank>> deltas_;
  std::set<std::string> taken_, ignored_;
  std::vector<std::string> missing_, misshapen_;
};

/// A place in the module tree: scope / "resnets" / 0 names what is below it.
class Scope {
 public:
  explicit Scope(Weights& weights, std::string prefix = {})
      : weights_(&weights), prefix_(std::move(prefix)) {}
  Scope operator/(const std::string& name) const {
    return Scope(*weights_, prefix_.empty() ? name : prefix_ + "." + name);
  }
  Scope operator/(int index) const { return *this / std::to_string(index); }
  at::Tensor take(const std::string& name, at::IntArrayRef shape, Init init) const {
    return weights_->take((*this / name).prefix_, shape, init);
  }
  bool packs() const { return weights_->packs(); }
  std::function<at::Tensor()> channels_last(const std::string& name) const {
    return weights_->channels_last((*this / name).prefix_);
  }
  void forget(const std::string& name) const { weights_->forget((*this / name).prefix_); }

 private:
  Weights* weights_;
  std::string prefix_;
};

/// Tensors to a safetensors file, each as `dtype`, atomically.
void save_tensors(const fs::path& path, const TensorMap& tensors, at::ScalarType dtype);
/// All tensors of a file as they are: views of the mapping.
TensorMap load_tensors(const fs::path& path);

}  // namespace longhand
