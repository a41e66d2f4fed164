#include "core/memory.h"

#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <mutex>
#include <set>

#include "core/error.h"
#include "core/letters.h"

namespace longhand {
namespace {

constexpr std::int64_t unknown = std::numeric_limits<std::int64_t>::max() / 4;

std::atomic<std::int64_t> limit = unknown;

// What becomes of freed memory.
std::mutex keeping;
bool kept = false;                        // but while there are frugal ones
std::multiset<std::int64_t> frugal = {};  // their sizes

/// With `keeping` held.
void tell_allocator() {
  constexpr std::int64_t usual = 4 << 20, most = 1 << 30, blocks = 8;
  const std::int64_t size = frugal.empty() ? (kept ? most : usual) : *frugal.begin();
  // Beyond the first glibc asks the kernel for each block by itself.
  mallopt(M_MMAP_THRESHOLD, static_cast<int>(std::min(size, most)));
  mallopt(M_TRIM_THRESHOLD, size >= most ? std::numeric_limits<int>::max()
                                         : static_cast<int>(std::min(blocks * size, most)));
}

/// The number behind `key` in a file of lines "key number …"; `otherwise` where there is none.
std::int64_t number_in(const fs::path& path, const std::string& key, std::int64_t otherwise) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key)) {
      const char* begin = line.data() + key.size();
      begin += std::strspn(begin, " \t");
      std::int64_t number = 0;
      if (std::from_chars(begin, line.data() + line.size(), number).ec == std::errc()) {
        return number;
      }
    }
  }
  return otherwise;
}

/// Where this process stands in the tree of control groups (version 2): "/a/b"; "" without one.
std::string control_group(const fs::path& root) {
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("0::/")) {
      return line.substr(3);
    }
  }
  return "";
}

/// What a group leaves of its memory.max ("max" where it has none).
std::int64_t left_by(const fs::path& group) {
  const std::int64_t most = number_in(group / "memory.max", "", unknown);
  const fs::path stat = group / "memory.stat";
  const std::int64_t cached =
      number_in(stat, "inactive_file ", 0) + number_in(stat, "active_file ", 0);
  return most - (number_in(group / "memory.current", "", 0) - cached);
}

}  // namespace

std::int64_t machine_memory(const fs::path& root) {
  constexpr std::int64_t kibibyte = 1024;
  std::int64_t least =
      number_in(root / "proc/meminfo", "MemAvailable:", unknown / kibibyte) * kibibyte;
  const fs::path tree = root / "sys/fs/cgroup";
  for (fs::path group = control_group(root); !group.empty(); group = group.parent_path()) {
    least = std::min(least, left_by(tree / group.relative_path()));
    if (group == group.root_path()) {
      break;
    }
  }
  return std::max<std::int64_t>(least, 0);
}

std::int64_t held_memory() {
  const fs::path status = "/proc/self/status";
  return (number_in(status, "RssAnon:", 0) + number_in(status, "RssShmem:", 0)) * 1024;
}

std::int64_t free_memory() {
  const std::int64_t own = limit == unknown ? unknown : limit - held_memory();
  return std::max<std::int64_t>(std::min(machine_memory(), own), 0);
}

void limit_memory(std::int64_t bytes) { limit = bytes; }

void keep_freed_memory(bool keep) {
  const std::lock_guard lock(keeping);
  kept = keep;
  tell_allocator();
}

void release_freed_memory() { malloc_trim(0); }

void forget_pages(std::span<const std::byte> part) {
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto address = reinterpret_cast<std::uintptr_t>(part.data());
  const std::uintptr_t begin = (address + page - 1) / page * page;
  const std::uintptr_t end = (address + part.size()) / page * page;
  if (begin < end) {
    madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  }
}

FrugalMemory::FrugalMemory(std::int64_t kept_size) : kept_size_(kept_size) {
  const std::lock_guard lock(keeping);
  frugal.insert(kept_size_);
  tell_allocator();
  release_freed_memory();
}

FrugalMemory::~FrugalMemory() {
  const std::lock_guard lock(keeping);
  frugal.erase(frugal.find(kept_size_));
  tell_allocator();
}

std::int64_t parse_bytes(const std::string& text) {
  struct Unit {
    const char* name;
    double bytes;
  };
  static constexpr Unit units[] = {
      {"", 1},      {"b", 1},        {"kb", 1e3},     {"mb", 1e6},     {"gb", 1e9},
      {"tb", 1e12}, {"kib", 0x1p10}, {"mib", 0x1p20}, {"gib", 0x1p30}, {"tib", 0x1p40},
      {"k", 1e3},   {"m", 1e6},      {"g", 1e9},      {"t", 1e12}};
  double number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  std::string name = lower(std::string(stop, end));
  std::erase(name, ' ');
  const auto* unit = std::ranges::find_if(units, [&](const Unit& row) { return name == row.name; });
  const double bytes = unit == std::end(units) ? 0 : number * unit->bytes;
  if (error != std::errc() || !std::isfinite(bytes) || bytes < 1 || bytes > 1e18) {
    fail(Kind::invalid_argument, "{} is no amount of memory; expected one like 6GB or 800MB", text);
  }
  return static_cast<std::int64_t>(bytes);
}

std::string bytes_text(std::int64_t bytes) {
  const double number = static_cast<double>(bytes);
  return bytes < 1000000000 ? fmt::format("{:.0f} MB", number / 1e6)
                            : fmt::format("{:.1f} GB", number / 1e9);
}

}  // namespace longhand
