#include "nn/weights.h"

#include <fmt/ranges.h>

#include <cmath>

#include "core/error.h"
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

Weights Weights::mapped(const std::vector<fs::path>& files, at::ScalarType dtype) {
  Weights weights(Source::files);
  weights.dtype_ = dtype;
  for (const fs::path& path : files) {
    const Safetensors file(path);
    weights.origin_ += (weights.origin_.empty() ? "" : ", ") + path.string();
    for (const auto& [name, stored] : file.tensors()) {
      weights.stored_[name] = {view_of(stored, file.owner(), path.string() + ": " + name),
                               stored.bytes};
    }
  }
  return weights;
}

Weights Weights::fresh(std::uint64_t seed) {
  at::manual_seed(seed);
  return Weights(Source::random);
}

Weights Weights::shapes() { return Weights(Source::meta); }

bool Weights::packs() const { return source_ == Source::files && packing_helps(dtype_); }

std::function<at::Tensor()> Weights::channels_last(const std::string& name) const {
  const auto found = stored_.find(name);
  if (found == stored_.end()) {
    return [] { return at::Tensor(); };  // finish() reports it
  }
  return [stored = found->second, dtype = dtype_] {
    at::Tensor copy = stored.view.to(dtype).contiguous(at::MemoryFormat::ChannelsLast);
    MappedFile::forget(stored.bytes);
    return copy;
  };
}

void Weights::forget(const std::string& name) const {
  if (const auto found = stored_.find(name); found != stored_.end()) {
    MappedFile::forget(found->second.bytes);
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
  } else if (found->second.view.sizes() != shape) {
    misshapen_.push_back(fmt::format("{} is [{}], expected [{}]", name,
                                     fmt::join(found->second.view.sizes(), ", "),
                                     fmt::join(shape, ", ")));
    tensor = at::zeros(shape);
  } else {
    const at::Tensor& view = found->second.view;
    tensor = view.is_floating_point() ? view.to(dtype_) : view;
    if (!tensor.is_alias_of(view)) {
      forget(name);
    }
  }
  taken_.insert(name);
  if (source_ == Source::random) {
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
  if (!message.empty()) {
    fail(Kind::corrupt,
         "{} does not fit {}:{}\n  check that the folder's config.json belongs to these weights",
         origin_, what, message);
  }
}

void save_tensors(const fs::path& path, const std::map<std::string, at::Tensor>& tensors,
                  at::ScalarType dtype) {
  std::map<std::string, at::Tensor> kept;  // holds the converted copies until they are written
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

std::map<std::string, at::Tensor> load_tensors(const fs::path& path) {
  const Safetensors file(path);
  std::map<std::string, at::Tensor> tensors;
  for (const auto& [name, stored] : file.tensors()) {
    tensors[name] = view_of(stored, file.owner(), path.string() + ": " + name);
  }
  return tensors;
}

}  // namespace longhand
