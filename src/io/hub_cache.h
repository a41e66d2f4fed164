// The folder that all programs of Hugging Face's hub share, in huggingface_hub's own layout
// (huggingface_hub/file_download.py):
//   models--ORG--NAME/blobs/<etag>              the files' bytes, named by their hash
//   models--ORG--NAME/snapshots/<commit>/path   links into blobs
//   models--ORG--NAME/refs/<revision>           the commit that a branch or tag stood at
//   .locks/models--ORG--NAME/<etag>.lock        held (flock) while a blob is made
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/files.h"

namespace longhand {

/// "ORG/NAME", as the hub's repositories are named.
bool is_repository_name(std::string_view text);

/// 40 hexadecimal digits.
bool is_commit(std::string_view text);

/// Throws corrupt for a path that would lead out of the folder it belongs in: absolute, with "..",
/// or with characters that no repository's file has.
void check_repository_path(const std::string& path);

/// fs::create_directories; throws unavailable.
void make_folder(const fs::path& folder);

/// An exclusive lock on a file, held until it is destroyed; the one that Python's filelock takes.
class FileLock {
 public:
  /// Waits for other holders; throws cancelled once stopped() is true, unavailable where the file
  /// cannot be made.
  FileLock(const fs::path& path, const std::function<bool()>& stopped);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int descriptor_;
};

/// One repository's part of the cache.
class RepositoryCache {
 public:
  /// cache: HubSettings::cache. Throws invalid_argument for what is no repository's name.
  RepositoryCache(const fs::path& cache, const std::string& repository);

  fs::path blob(const std::string& etag) const { return folder_ / "blobs" / etag; }
  fs::path snapshot(const std::string& commit) const { return folder_ / "snapshots" / commit; }
  fs::path lock_file(const std::string& etag) const { return locks_ / (etag + ".lock"); }

  /// The snapshot folder of a revision (a branch, a tag, a commit); nullopt when it is not there.
  std::optional<fs::path> find(const std::string& revision) const;
  /// Makes snapshots/<commit>/<path> a relative link to the blob.
  void link(const std::string& commit, const std::string& path, const std::string& etag) const;
  /// Writes refs/<revision>. Written last, it tells a whole snapshot from a broken-off download.
  void name(const std::string& revision, const std::string& commit) const;

 private:
  fs::path folder_, locks_;
};

/// The first component that the folder's model_index.json names and that is not there, or "". The
/// safety checker and the feature extractor are not asked for: painting does without them.
std::string missing_component(const fs::path& folder);

}  // namespace longhand
