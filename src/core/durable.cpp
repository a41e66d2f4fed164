#include "core/durable.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/error.h"

namespace longhand {
namespace {

/// A file or folder opened to read: fsync flushes what was written through other descriptors, too.
bool flushed(const fs::path& path, int flags) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | flags);
  const bool done = file >= 0 && fsync(file) == 0;
  if (file >= 0) {
    ::close(file);
  }
  return done;
}

}  // namespace

void put_in_place(const fs::path& begun, const fs::path& target) {
  if (!flushed(begun, 0) || rename(begun.c_str(), target.c_str()) != 0) {
    fail(Kind::unavailable, "{} cannot be written: {}", target.string(), std::strerror(errno));
  }
  flushed(target.has_parent_path() ? target.parent_path() : ".", O_DIRECTORY);
}

}  // namespace longhand
