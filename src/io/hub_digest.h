// The hash that the hub names a file by: SHA-256 of large files, git's SHA-1 of small ones.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace longhand {

/// 64 hexadecimal digits (SHA-256) or 40 (git's SHA-1 of "blob <size>\0" and the bytes).
bool is_digest(std::string_view etag);

class Digest {
 public:
  /// Of a file of `size` bytes whose hash is to be `etag`, for which is_digest holds.
  Digest(const std::string& etag, std::int64_t size);
  void add(std::string_view bytes);
  /// Ends the hash: true when it is the etag's.
  bool matches();

 private:
  std::string etag_;
  std::shared_ptr<void> context_;
};

}  // namespace longhand
