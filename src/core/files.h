// Files read whole or mapped, and written so that a reader sees the old file or the new one, never
// half.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace longhand {

namespace fs = std::filesystem;

/// The whole file; throws not_found or unavailable, or invalid_argument when it is over `limit`
/// bytes.
std::string read_file(const fs::path& path, std::size_t limit = std::size_t{1} << 30);

/// Writes beside the target, flushes to disk, renames over it. Makes missing parent folders.
/// Throws unavailable (no permission, no space left…) and leaves the old file as it was.
void write_file_atomically(const fs::path& path, std::string_view bytes);

/// Copies a folder's files, those of folders in it not, each written atomically. Throws not_found.
void copy_files(const fs::path& from, const fs::path& to);

/// Says in a file of a folder what the rest of it is made of. Throws invalid_argument where the
/// file is there and says otherwise: one folder is not to hold what was made in two ways.
void claim_folder(const fs::path& file, const std::string& description);

/// A file mapped read-only; pages are shared and loaded on demand. Copyable, cheap.
class MappedFile {
 public:
  explicit MappedFile(const fs::path& path);
  std::span<const std::byte> bytes() const { return bytes_; }
  /// Keeps the mapping alive (for tensors that point into it).
  std::shared_ptr<const void> owner() const { return owner_; }

 private:
  std::shared_ptr<const void> owner_;
  std::span<const std::byte> bytes_;
};

/// The project's folder with `data/` and `models/`: $LONGHAND_HOME, or the nearest folder above the
/// running binary that has them. Throws not_found and says how to set it.
fs::path home();

}  // namespace longhand
