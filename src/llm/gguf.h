// A GGUF's settings and tensors, read by ggml's own functions.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "core/files.h"
#include "nn/torch.h"

struct gguf_context;

namespace longhand {

class Gguf {
 public:
  /// Maps the file. Throws not_found; corrupt where it is no whole GGUF.
  explicit Gguf(const fs::path& path);
  ~Gguf();
  const fs::path& path() const { return path_; }

  /// A setting. Throws corrupt, naming the key, where it is missing or of another type.
  std::string text(const std::string& key) const;
  std::int64_t whole(const std::string& key) const;
  /// Where it may be missing: `otherwise` then.
  std::int64_t whole(const std::string& key, std::int64_t otherwise) const;
  double number(const std::string& key, double otherwise) const;
  bool has(const std::string& key) const;

  /// How many rows a tensor [rows, …] has. Throws corrupt for a missing one.
  std::int64_t rows(const std::string& name) const;
  bool has_tensor(const std::string& name) const;
  /// A tensor, [out, in] or [n], as `dtype`: quantised types are dequantised, what is stored so
  /// already points into the mapping. Throws corrupt for a missing tensor, another shape, and
  /// a type that ggml cannot dequantise.
  at::Tensor tensor(const std::string& name, at::IntArrayRef shape, at::ScalarType dtype) const;

 private:
  struct ContextDeleter {
    void operator()(gguf_context* context) const;
  };
  std::int64_t key(const std::string& name) const;

  fs::path path_;
  MappedFile file_;
  std::unique_ptr<gguf_context, ContextDeleter> context_;
};

}  // namespace longhand
