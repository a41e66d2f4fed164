// Tar files, by libarchive: read and written as streams.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <ostream>
#include <string>

#include "core/files.h"

struct archive;

namespace longhand {

/// The regular files in a tar file, which may be compressed, in their order.
class TarReader {
 public:
  struct Member {
    std::string name;
    std::int64_t size;  // bytes
  };

  /// Throws not_found, corrupt.
  explicit TarReader(const fs::path& path);
  /// The next member, or nullopt at the end. Throws corrupt.
  std::optional<Member> next();
  /// The bytes of the member that next() gave. Throws corrupt, also where there are over `most`.
  std::string read(std::int64_t most);

 private:
  struct Free {
    void operator()(archive* tar) const;
  };
  [[noreturn]] void broken() const;

  std::string name_;
  std::unique_ptr<archive, Free> tar_;
  std::string member_;
};

/// Writes members of no time and no owner, so that the same members give the same bytes.
class TarWriter {
 public:
  explicit TarWriter(std::ostream& out);
  /// Throws unavailable where the stream takes no more.
  void add(const std::string& name, const std::string& bytes);
  void close();

 private:
  struct Free {
    void operator()(archive* tar) const;
  };
  void check(int code) const;

  std::unique_ptr<archive, Free> tar_;
};

}  // namespace longhand
