// How much memory there is, and how much of it this process may take.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/files.h"

namespace longhand {

/// The bytes that this process may still take: what machine_memory() says, and what is left of
/// limit_memory(). A large number where the system does not say.
std::int64_t free_memory();
/// The most that this process is to hold, from --memory; for the whole process, whatever it does.
void limit_memory(std::int64_t bytes);
/// What this process holds, without the pages of files that it has mapped.
std::int64_t held_memory();

/// Whether memory that is freed is kept for later, for the whole process. Kept, it is not faulted
/// in anew, which saves up to a fifth of the time where tensors are large; but it lies in pieces,
/// and the process holds up to twice of what it uses.
void keep_freed_memory(bool keep);

/// Gives back to the machine what was freed and kept.
void release_freed_memory();

/// Gives back the whole pages of memory that will not be read again before it is written. Of a
/// mapped file, reading it all the same reads the file anew.
void forget_pages(std::span<const std::byte> part);

/// For its lifetime freed memory goes back to the machine, that which was kept before too: blocks
/// larger than `kept_size` bytes at once, and what is left of smaller ones beyond some of them. Of
/// several at once the smallest size counts.
class FrugalMemory {
 public:
  explicit FrugalMemory(std::int64_t kept_size = 4 << 20);
  ~FrugalMemory();
  FrugalMemory(const FrugalMemory&) = delete;
  FrugalMemory& operator=(const FrugalMemory&) = delete;

 private:
  std::int64_t kept_size_;
};

/// What the machine has free for new processes and for this one: MemAvailable of /proc/meminfo, and
/// no more than each control group (version 2) above this process leaves of its memory.max. Caches
/// of files count as free. `root` is where /proc and /sys lie.
std::int64_t machine_memory(const fs::path& root = "/");

/// "6GB", "800 MB", "1.5GiB", "2000000000" → bytes. Throws invalid_argument.
std::int64_t parse_bytes(const std::string& text);
/// Bytes → "1.3 GB", "640 MB".
std::string bytes_text(std::int64_t bytes);

}  // namespace longhand
