#include "core/files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include "core/error.h"

namespace longhand {
namespace {

class Descriptor {
 public:
  Descriptor(const fs::path& path, int flags) : fd_(open(path.c_str(), flags | O_CLOEXEC, 0644)) {}
  ~Descriptor() {
    if (fd_ >= 0) {
      close(fd_);
    }
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

[[noreturn]] void fail_reading(const fs::path& path) {
  const int code = errno;
  fail(code == ENOENT || code == ENOTDIR ? Kind::not_found : Kind::unavailable,
       "cannot read {}: {}", path.string(), std::strerror(code));
}

[[noreturn]] void fail_writing(const fs::path& path, const fs::path& temporary) {
  const int code = errno;
  unlink(temporary.c_str());
  fail(Kind::unavailable, "cannot write {}: {}", path.string(), std::strerror(code));
}

std::size_t size_of(const Descriptor& file, const fs::path& path) {
  struct stat status{};
  if (file.get() < 0 || fstat(file.get(), &status) != 0) {
    fail_reading(path);
  }
  if (S_ISDIR(status.st_mode)) {
    fail(Kind::invalid_argument, "{} is a folder, expected a file", path.string());
  }
  return static_cast<std::size_t>(status.st_size);
}

}  // namespace

std::string read_file(const fs::path& path, std::size_t limit) {
  const Descriptor file(path, O_RDONLY);
  const std::size_t expected = size_of(file, path);
  std::string bytes;
  bytes.reserve(expected);
  char block[1 << 16];
  ssize_t got;
  while ((got = read(file.get(), block, sizeof block)) > 0) {
    bytes.append(block, static_cast<std::size_t>(got));
    if (bytes.size() > limit) {
      fail(Kind::invalid_argument, "{} is over {} bytes, the most that is read here", path.string(),
           limit);
    }
  }
  if (got < 0) {
    fail_reading(path);
  }
  return bytes;
}

void write_file_atomically(const fs::path& path, std::string_view bytes) {
  if (path.has_parent_path()) {
    std::error_code code;
    fs::create_directories(path.parent_path(), code);
    if (code) {
      fail(Kind::unavailable, "cannot make folder {}: {}", path.parent_path().string(),
           code.message());
    }
  }
  // Of this call alone: processes that write the same file each put a whole one in place.
  static std::atomic<int> calls = 0;
  const fs::path temporary = fmt::format("{}.partial-{}-{}", path.string(), getpid(), calls++);
  const Descriptor file(temporary, O_WRONLY | O_CREAT | O_TRUNC);
  if (file.get() < 0) {
    fail_writing(path, temporary);
  }
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t wrote = write(file.get(), bytes.data() + done, bytes.size() - done);
    if (wrote < 0 && errno != EINTR) {
      fail_writing(path, temporary);
    }
    done += wrote > 0 ? static_cast<std::size_t>(wrote) : 0;
  }
  if (fsync(file.get()) != 0 || rename(temporary.c_str(), path.c_str()) != 0) {
    fail_writing(path, temporary);
  }
}

void copy_files(const fs::path& from, const fs::path& to) {
  if (!fs::is_directory(from)) {
    fail(Kind::not_found, "{} is no folder", from.string());
  }
  for (const fs::directory_entry& entry : fs::directory_iterator(from)) {
    if (entry.is_regular_file()) {
      write_file_atomically(to / entry.path().filename(), read_file(entry.path()));
    }
  }
}

void claim_folder(const fs::path& file, const std::string& description) {
  if (!fs::exists(file)) {
    write_file_atomically(file, description + "\n");
  } else if (const std::string held = read_file(file); held != description + "\n") {
    fail(Kind::invalid_argument,
         "{} holds what was made with other options: {}, not {}; take another folder, or the same "
         "options",
         file.parent_path().string(), held.substr(0, held.find('\n')), description);
  }
}

MappedFile::MappedFile(const fs::path& path) {
  const Descriptor file(path, O_RDONLY);
  const std::size_t size = size_of(file, path);
  if (size == 0) {
    return;
  }
  void* address = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (address == MAP_FAILED) {
    fail(Kind::out_of_memory, "cannot map {} ({} bytes): {}", path.string(), size,
         std::strerror(errno));
  }
  owner_ = std::shared_ptr<const void>(
      address, [size](const void* mapped) { munmap(const_cast<void*>(mapped), size); });
  bytes_ = {static_cast<const std::byte*>(address), size};
}

fs::path home() {
  if (const char* set = std::getenv("LONGHAND_HOME")) {
    return set;
  }
  std::error_code code;
  const fs::path binary = fs::read_symlink("/proc/self/exe", code);
  for (fs::path folder = binary.parent_path(); !folder.empty(); folder = folder.parent_path()) {
    if (fs::exists(folder / "data", code) && fs::exists(folder / "models", code)) {
      return folder;
    }
    if (folder == folder.root_path()) {
      break;
    }
  }
  fail(Kind::not_found,
       "no folder above {} has data/ and models/; set LONGHAND_HOME to the project's folder",
       binary.string());
}

}  // namespace longhand
