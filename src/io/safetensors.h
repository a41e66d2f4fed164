// safetensors files: a checked view of a mapped file, and an atomic writer. No tensor library here.
// Layout: u64 little-endian header size, JSON header {"name": {"dtype", "shape", "data_offsets"}},
// bytes.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/files.h"

namespace longhand {

/// One tensor of a file: bytes point into the mapping.
struct StoredTensor {
  std::string dtype;  // "F32", "F16", "BF16", "I64", …
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;
};

/// Bytes of one element; 0 for a dtype that is not known.
std::size_t dtype_size(const std::string& dtype);

/// A safetensors file, mapped. Throws not_found; corrupt for a header that is cut off, is not JSON,
/// or has offsets, shapes or sizes that do not fit the file.
class Safetensors {
 public:
  explicit Safetensors(const fs::path& path);
  const std::map<std::string, StoredTensor>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const fs::path& path() const { return path_; }
  /// Keeps the mapping alive.
  std::shared_ptr<const void> owner() const { return file_.owner(); }

  /// The tensors of a header and what follows it: the parser by itself, for fuzzing.
  static std::map<std::string, StoredTensor> parse(std::span<const std::byte> bytes,
                                                   const std::string& name,
                                                   std::map<std::string, std::string>* metadata);

 private:
  fs::path path_;
  MappedFile file_;
  std::map<std::string, std::string> metadata_;
  std::map<std::string, StoredTensor> tensors_;
};

/// Writes atomically; tensors in the map's order, aligned to 8 bytes.
void write_safetensors(const fs::path& path, const std::map<std::string, StoredTensor>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace longhand
