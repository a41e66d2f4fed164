#include "nn/weights.h"

#include <fmt/ostream.h>
#include <fmt/ranges.h>

#include <cmath>

#include "core/error.h"
#include "core/memory.h"
#include "io/safetensors.h"
#include "nn/packing.h"

namespace longhand {
namespace {

at::ScalarType scalar_type(const std::string& dtype, const std::string& where) {
  static const std::map<std::string, at::ScalarType> types = {
      {"F64", at::kDouble}, {"F32", at::kFloat}, {"F16", at::kHalf}, {"BF16", at::kBFloat16},
      {"I64", at::kLong},   {"I32", at::kInt},   {"U8", at::kByte},  {"BOOL", at::kBool}};
  const auto found = types.find(dtype);
  if (found == types.end()) {
    fail(Kind::corrupt, "{}: tensors of type {} are not supported; expected F32, F16 or BF16",
         where, dtype);
  }
  return found->second;
}

std::string dtype_name(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return "F32";
    case at::kHalf:
      return "F16";
    case at::kBFloat16:
      return "BF16";
    case at::kDouble:
      return "F64";
    case at::kLong:
      return "I64";
    default:
      fail(Kind::internal, "no safetensors name for type {}", c10::toString(type));
  }
}

/// A tensor that points into the mapping, or a copy where the file left it misaligned.
at::Tensor view_of(const StoredTensor& stored, const std::shared_ptr<const void>& owner,
                   const std::string& where) {
  const at::ScalarType type = scalar_type(stored.dtype, where);
  auto* data = const_cast<std::byte*>(stored.bytes.data());
  auto view = at::from_blob(data, stored.shape, [owner](void*) {}, at::TensorOptions(type));
  const bool aligned = reinterpret_cast<std::uintptr_t>(data) % c10::elementSize(type) == 0;
  return aligned ? view : view.clone();
}

/// Tensors up to this size (biases, norms) are copied: to read one that is mapped the kernel maps
/// up to 2 MiB of the file around it, which is mostly of weights that were packed and forgotten.
constexpr std::size_t small_bytes = 1 << 16;

/// Gives back the pages behind a view; a copy has none (torch resizes only memory of its own).
void forget_view(const at::Tensor& view) {
  if (!view.storage().resizable()) {
    forget_pages({static_cast<const std::byte*>(view.const_data_ptr()),
                  static_cast<std::size_t>(view.nbytes())});
  }
}

/// A stored tensor in its placement, dense, with what is added to it: itself where nothing has to
/// change. Whole numbers keep their type.
at::Tensor merged(const at::Tensor& view, const std::vector<LowRank>& deltas,
                  const at::TensorOptions& placement) {
  at::Tensor sum = view;
  for (const LowRank& delta : deltas) {
    sum = sum.to(at::kFloat) + delta.product().view(view.sizes());
  }
  return sum.is_floating_point() ? sum.to(placement).contiguous() : sum.to(placement.device());
}

at::Tensor initial(at::IntArrayRef shape, Init init) {
  at::Tensor tensor = at::empty(shape, at::kFloat);
  const std::int64_t fan_in = shape.size() > 1 ? tensor[0].numel() : shape[0];
  const double bound = 1.0 / std::sqrt(static_cast<double>(fan_in));
  switch (init) {
    case Init::zeros:
      return tensor.zero_();
    case Init::ones:
      return tensor.fill_(1.0);
    case Init::fan_in:
      return tensor.uniform_(-bound, bound);
    case Init::normal:
      return tensor.normal_(0.0, 1.0);
    case Init::normal_03:
      return tensor.normal_(0.0, 0.3);
  }
  fail(Kind::internal, "unknown Init");
}

void list_keys(std::string& message, const char* what, const std::vector<std::string>& keys) {
  constexpr std::size_t shown = 8;
  if (!keys.empty()) {
    const std::span<const std::string> head(keys.data(), std::min(shown, keys.size()));
    message += fmt::format("\n  {} {}: {}{}", keys.size(), what, fmt::join(head, ", "),
                           keys.size() > shown ? ", …" : "");
  }
}

}  // namespace

bool LowRank::fits(at::IntArrayRef weight) const {
  if (up.dim() < 2 || down.dim() < 2 || weight.size() < 2) {
    return false;
  }
  const std::int64_t out = up.size(0), in = down.size(1), rank = down.size(0);
  const std::int64_t kernel = at::multiply_integers(weight.slice(2));
  const bool meet = up.numel() == out * rank && up.size(1) == rank && rank > 0 &&
                    weight[0] == out && weight[1] == in;
  if (!mid.defined()) {
    return meet && down.numel() == rank * in * kernel;
  }
  return meet && down.numel() == rank * in && mid.dim() == 4 && mid.size(0) == rank &&
         mid.size(1) == rank && mid.sizes().slice(2) == weight.slice(2);
}

at::Tensor LowRank::product() const {
  const at::Tensor left = up.to(at::kFloat).flatten(1) * scale, right = down.to(at::kFloat);
  if (mid.defined()) {
    return at::einsum("oa,abkl,bi->oikl", {left, mid.to(at::kFloat), right.flatten(1)});
  }
  std::vector<std::int64_t> shape = right.sizes().vec();
  shape[0] = left.size(0);
  return at::mm(left, right.flatten(1)).view(shape);
}

Weights Weights::mapped(const std::vector<fs::path>& files, const at::TensorOptions& placement,
                        const Layout& layout) {
  Weights weights(Source::files);
  weights.placement_ = placement.device(placement.device());  // none is the processor
  for (const fs::path& path : files) {
    weights.origin_ += (weights.origin_.empty() ? "" : ", ") + path.string();
    weights.stored_.merge(load_tensors(path));
  }
  if (layout) {
    weights.stored_ = layout(std::move(weights.stored_));
  }
  return weights;
}

Weights Weights::fresh(std::uint64_t seed) {
  at::manual_seed(seed);
  return Weights(Source::random);
}

void Weights::start_from(const fs::path& file, const std::string& prefix) {
  const c10::AutoGradMode no_grad(false);
  bool any = false;
  for (const auto& [name, tensor] : load_tensors(file)) {
    const auto found = parameters_.find(prefix + name);
    if (found == parameters_.end()) {
      continue;
    }
    at::Tensor into = found->second;
    if (into.sizes() != tensor.sizes()) {
      fail(Kind::corrupt, "{}: {} has the shape {}, expected {}: it is of another model",
           file.string(), name, fmt::streamed(tensor.sizes()), fmt::streamed(into.sizes()));
    }
    into.copy_(tensor);
    any = true;
  }
  if (!any) {
    fail(Kind::corrupt, "{} has no tensor of this model: nothing to go on from", file.string());
  }
}

Weights Weights::shapes() { return Weights(Source::meta); }

bool Weights::packs() const {
  return source_ == Source::files && device().is_cpu() &&
         packing_helps(c10::typeMetaToScalarType(placement_.dtype()));
}

void Weights::add(const std::string& name, LowRank delta) {
  const auto found = stored_.find(name);
  if (found == stored_.end() || !delta.fits(found->second.sizes())) {
    fail(Kind::corrupt, "{} has no {} that an adaptation of this shape could be added to", origin_,
         name);
  }
  deltas_[name].push_back(std::move(delta));
}

std::vector<LowRank> Weights::deltas_of(const std::string& name) const {
  const auto found = deltas_.find(name);
  return found == deltas_.end() ? std::vector<LowRank>() : found->second;
}

std::function<at::Tensor()> Weights::channels_last(const std::string& name) const {
  const auto found = stored_.find(name);
  if (found == stored_.end()) {
    return [] { return at::Tensor(); };  // finish() reports it
  }
  return [view = found->second, deltas = deltas_of(name), placement = placement_] {
    at::Tensor copy = merged(view, deltas, placement).clone(at::MemoryFormat::ChannelsLast);
    forget_view(view);
    return copy;
  };
}

void Weights::forget(const std::string& name) const {
  if (const auto found = stored_.find(name); found != stored_.end()) {
    forget_view(found->second);
  }
}

at::Tensor Weights::take(const std::string& name, at::IntArrayRef shape, Init init) {
  at::Tensor tensor;
  if (source_ == Source::random) {
    tensor = initial(shape, init);
  } else if (source_ == Source::meta) {
    tensor = at::empty(shape, at::TensorOptions(at::kMeta).dtype(at::kFloat));
  } else if (const auto found = stored_.find(name); found == stored_.end()) {
    missing_.push_back(name);
    tensor = at::zeros(shape);
  } else if (const at::Tensor& view = found->second; view.sizes() != shape) {
    misshapen_.push_back(fmt::format("{} is [{}], expected [{}]", name,
                                     fmt::join(view.sizes(), ", "), fmt::join(shape, ", ")));
    tensor = at::zeros(shape);
  } else {
    tensor = merged(view, deltas_of(name), placement_);
    if (tensor.is_alias_of(view) && view.nbytes() <= small_bytes) {
      tensor = view.clone();
    }
    if (!tensor.is_alias_of(view)) {
      forget_view(view);
    }
  }
  taken_.insert(name);
  if (source_ != Source::files) {
    parameters_[name] = tensor;
  }
  return tensor;
}

void Weights::finish(const std::string& what) {
  std::vector<std::string> unexpected;
  for (const auto& [name, tensor] : stored_) {
    if (!taken_.contains(name) && !ignored_.contains(name)) {
      unexpected.push_back(name);
    }
  }
  std::string message;
  list_keys(message, "missing", missing_);
  list_keys(message, "of another shape", misshapen_);
  list_keys(message, "unexpected", unexpected);
  stored_.clear();
  deltas_.clear();
  if (!message.empty()) {
    fail(Kind::corrupt,
         "{} does not fit {}:{}\n  check that the folder's config.json belongs to these weights",
         origin_, what, message);
  }
}

void save_tensors(const fs::path& path, const TensorMap& tensors, at::ScalarType dtype) {
  TensorMap kept;  // holds the converted copies until they are written
  std::map<std::string, StoredTensor> stored;
  for (const auto& [name, tensor] : tensors) {
    const at::ScalarType type = tensor.is_floating_point() ? dtype : tensor.scalar_type();
    const at::Tensor& copy = kept[name] = tensor.detach().to(type).contiguous();
    stored[name] = {dtype_name(type),
                    copy.sizes().vec(),
                    {static_cast<const std::byte*>(copy.const_data_ptr()), copy.nbytes()}};
  }
  write_safetensors(path, stored, {{"format", "pt"}});
}

TensorMap load_tensors(const fs::path& path) {
  const Safetensors file(path);
  TensorMap tensors;
  for (const auto& [name, stored] : file.tensors()) {
    tensors[name] = view_of(stored, file.owner(), path.string() + ": " + name);
  }
  return tensors;
}

}  // namespace longhand
