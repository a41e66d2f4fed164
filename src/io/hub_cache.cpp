#include "io/hub_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/error.h"
#include "core/log.h"

namespace longhand {
namespace {

constexpr auto tick = std::chrono::milliseconds(100);

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// Letters, digits, "_", "-" and ".", at most 96, with neither "--" nor "..".
bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 96 && is_word(text.front()) && is_word(text.back()) &&
         std::ranges::all_of(text, [](char c) { return is_word(c) || c == '-' || c == '.'; }) &&
         text.find("--") == text.npos && text.find("..") == text.npos;
}

/// A descriptor with the lock on it, or -1 while another holds it.
int try_lock(const fs::path& path) {
  const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0664);
  if (descriptor < 0) {
    fail(Kind::unavailable, "cannot make the lock {}: {}", path.string(), std::strerror(errno));
  }
  // Whatever the umask, as huggingface_hub makes them: users of one group share a cache. Another
  // user's file cannot be changed, and need not be.
  fchmod(descriptor, 0664);
  struct stat status{};
  if (flock(descriptor, LOCK_EX | LOCK_NB) == 0) {
    // A file that was removed meanwhile locks nothing: others make a new one.
    if (fstat(descriptor, &status) == 0 && status.st_nlink > 0) {
      return descriptor;
    }
  } else if (errno != EWOULDBLOCK && errno != EINTR) {
    const int code = errno;
    close(descriptor);
    fail(Kind::unavailable, "cannot lock {}: {}", path.string(), std::strerror(code));
  }
  close(descriptor);
  return -1;
}

}  // namespace

bool is_repository_name(std::string_view text) {
  const auto slash = text.find('/');
  return slash != text.npos && is_name(text.substr(0, slash)) && is_name(text.substr(slash + 1));
}

bool is_commit(std::string_view text) {
  return text.size() == 40 && text.find_first_not_of("0123456789abcdef") == text.npos;
}

void check_repository_path(const std::string& path) {
  const bool plain = !path.empty() && std::ranges::none_of(path, [](unsigned char c) {
    return c < ' ' || c == '\\' || c == 0x7f;
  });
  const fs::path parts(path);
  const bool inside = std::ranges::none_of(
      parts, [](const fs::path& part) { return part.empty() || part == "." || part == ".."; });
  if (!plain || parts.is_absolute() || !inside) {
    fail(Kind::corrupt, "\"{}\" is no name that a repository's file or revision can have", path);
  }
}

void make_folder(const fs::path& folder) {
  std::error_code code;
  fs::create_directories(folder, code);
  if (code) {
    fail(Kind::unavailable, "cannot make the folder {}: {}", folder.string(), code.message());
  }
}

FileLock::FileLock(const fs::path& path, const std::function<bool()>& stopped) {
  make_folder(path.parent_path());
  const auto began = std::chrono::steady_clock::now();
  bool said = false;
  while ((descriptor_ = try_lock(path)) < 0) {
    if (stopped()) {
      fail(Kind::cancelled, "stopped while another process held {}", path.string());
    }
    if (!said && std::chrono::steady_clock::now() - began > std::chrono::seconds(3)) {
      said = true;
      spdlog::info("waiting for another process that holds {}", path.string());
    }
    std::this_thread::sleep_for(tick);
  }
}

FileLock::~FileLock() { close(descriptor_); }

RepositoryCache::RepositoryCache(const fs::path& cache, const std::string& repository) {
  if (!is_repository_name(repository)) {
    fail(Kind::invalid_argument, "\"{}\" is no repository's name; expected ORG/NAME", repository);
  }
  const auto slash = repository.find('/');
  const std::string name =
      "models--" + repository.substr(0, slash) + "--" + repository.substr(slash + 1);
  folder_ = cache / name;
  locks_ = cache / ".locks" / name;
}

std::optional<fs::path> RepositoryCache::find(const std::string& revision) const {
  check_repository_path(revision);
  std::string commit = revision;
  if (const fs::path ref = folder_ / "refs" / revision; fs::is_regular_file(ref)) {
    commit = read_file(ref, 1 << 10);
  }
  if (!is_commit(commit) || !fs::is_directory(snapshot(commit))) {
    return std::nullopt;
  }
  return snapshot(commit);
}

void RepositoryCache::link(const std::string& commit, const std::string& path,
                           const std::string& etag) const {
  const fs::path pointer = snapshot(commit) / path;
  make_folder(pointer.parent_path());
  // Made beside it and renamed over: a reader sees the old link or the new one.
  const fs::path temporary = pointer.string() + ".link-" + std::to_string(getpid());
  std::error_code code;
  fs::remove(temporary, code);
  fs::create_symlink(blob(etag).lexically_relative(pointer.parent_path()), temporary, code);
  if (!code) {
    fs::rename(temporary, pointer, code);
  }
  if (code) {
    fail(Kind::unavailable, "cannot link {}: {}", pointer.string(), code.message());
  }
}

void RepositoryCache::name(const std::string& revision, const std::string& commit) const {
  check_repository_path(revision);
  const fs::path ref = folder_ / "refs" / revision;
  if (revision != commit && !(fs::is_regular_file(ref) && read_file(ref, 1 << 10) == commit)) {
    write_file_atomically(ref, commit);
  }
}

std::string missing_component(const fs::path& folder) {
  const fs::path path = folder / "model_index.json";
  if (!fs::exists(path)) {
    return {};
  }
  const auto index = nlohmann::json::parse(read_file(path), nullptr, false);
  if (!index.is_object()) {
    fail(Kind::corrupt, "{} is no JSON object", path.string());
  }
  // A component without a folder of its own may lie in the root, as those of google/ddpm-* do.
  const bool in_root = fs::exists(folder / "config.json");
  for (const auto& [name, value] : index.items()) {
    const bool named = value.is_array() && value.size() == 2 && value[1].is_string();
    if (named && name != "safety_checker" && name != "feature_extractor" && !in_root &&
        !fs::is_directory(folder / name)) {
      return name;
    }
  }
  return {};
}

}  // namespace longhand
