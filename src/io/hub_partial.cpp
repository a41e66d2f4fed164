#include "io/hub_partial.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/error.h"
#include "core/interrupt.h"

namespace longhand {
namespace {

fs::path partial_path(const fs::path& blob) { return blob.string() + ".incomplete"; }

}  // namespace

PartialBlob::PartialBlob(const fs::path& blob, const HubFile& file,
                         const std::function<bool()>& stopped)
    : blob_(blob),
      path_(partial_path(blob)),
      file_(file),
      digest_(file.etag, file.size),
      descriptor_(open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  if (descriptor_ < 0) {
    fail_writing();
  }
  take_existing(stopped);
}

PartialBlob::~PartialBlob() { close(descriptor_); }

void PartialBlob::take_existing(const std::function<bool()>& stopped) {
  std::string block(1 << 20, '\0');
  ssize_t got;
  while ((got = read(descriptor_, block.data(), block.size())) > 0) {
    if (stopped()) {
      throw stopped_by_signal();
    }
    digest_.add({block.data(), static_cast<std::size_t>(got)});
    size_ += got;
    if (size_ > file_.size) {
      return restart();
    }
  }
  if (got < 0) {
    fail(Kind::unavailable, "cannot read {}: {}", path_.string(), std::strerror(errno));
  }
}

void PartialBlob::append(std::string_view bytes) {
  if (static_cast<std::int64_t>(bytes.size()) > file_.size - size_) {
    fail(Kind::corrupt, "{}: the server sends more than the {} bytes that it states", file_.path,
         file_.size);
  }
  while (!bytes.empty()) {
    const ssize_t wrote = write(descriptor_, bytes.data(), bytes.size());
    if (wrote < 0 && errno != EINTR) {
      fail_writing();
    }
    const auto count = static_cast<std::size_t>(wrote > 0 ? wrote : 0);
    digest_.add(bytes.substr(0, count));
    size_ += static_cast<std::int64_t>(count);
    bytes.remove_prefix(count);
  }
}

void PartialBlob::restart() {
  if (ftruncate(descriptor_, 0) != 0 || lseek(descriptor_, 0, SEEK_SET) != 0) {
    fail_writing();
  }
  digest_ = Digest(file_.etag, file_.size);
  size_ = 0;
}

bool PartialBlob::finish() {
  if (!digest_.matches()) {
    unlink(path_.c_str());
    return false;
  }
  if (fsync(descriptor_) != 0 || rename(path_.c_str(), blob_.c_str()) != 0) {
    fail_writing();
  }
  return true;
}

std::int64_t PartialBlob::size_of(const fs::path& blob) {
  struct stat status{};
  return stat(partial_path(blob).c_str(), &status) == 0 ? status.st_size : 0;
}

void PartialBlob::fail_writing() const {
  fail(Kind::unavailable,
       "cannot write {}: {}. What came of {} is kept: run the same command again to go on",
       path_.string(), std::strerror(errno), file_.path);
}

}  // namespace longhand
