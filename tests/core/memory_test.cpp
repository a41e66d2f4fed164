#include "core/memory.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <vector>

#include "core/error.h"

using namespace longhand;

namespace {

constexpr std::int64_t gib = std::int64_t{1} << 30;

/// A tree with what /proc and /sys of a machine say.
class Machine {
 public:
  Machine() { write("proc/meminfo", "MemTotal:       16777216 kB\nMemAvailable:    8388608 kB\n"); }
  ~Machine() { fs::remove_all(root_); }
  void write(const fs::path& path, const std::string& text) const {
    fs::create_directories((root_ / path).parent_path());
    write_file_atomically(root_ / path, text);
  }
  void group(const std::string& path, const std::string& most, std::int64_t current,
             std::int64_t cached) const {
    const fs::path folder = fs::path("sys/fs/cgroup") / path;
    write(folder / "memory.max", most + "\n");
    write(folder / "memory.current", std::to_string(current) + "\n");
    write(folder / "memory.stat", "anon 1\ninactive_file " + std::to_string(cached) + "\n");
  }
  std::int64_t memory() const { return machine_memory(root_); }

 private:
  fs::path root_ = fs::temp_directory_path() / ("longhand-memory-" + std::to_string(getpid()));
};

}  // namespace

TEST_CASE("machine_memory") {
  const Machine machine;
  CHECK(machine.memory() == 8 * gib);
  machine.write("proc/self/cgroup", "1:name=systemd:/x\n0::/a/b\n");
  machine.group("a/b", "max", 5 * gib, 0);
  CHECK(machine.memory() == 8 * gib);
  machine.group("a", std::to_string(6 * gib), 5 * gib, 3 * gib);  // caches can be given up
  CHECK(machine.memory() == 4 * gib);
  machine.group("", std::to_string(gib), 2 * gib, 0);
  CHECK(machine.memory() == 0);
  machine.write("proc/self/cgroup", "0::/\n");  // as a container sees its own group
  machine.group("", std::to_string(3 * gib), gib, 0);
  CHECK(machine.memory() == 2 * gib);
  CHECK(machine_memory("/nowhere") > 1000 * gib);
}

TEST_CASE("free_memory") {
  CHECK(held_memory() > 0);
  CHECK(free_memory() > 0);
  limit_memory(held_memory() + gib / 8);
  CHECK(free_memory() <= gib / 8 + gib / 64);
  limit_memory(1);
  CHECK(free_memory() == 0);
  limit_memory(1000 * gib);
  CHECK(free_memory() > 0);
}

TEST_CASE("freed memory goes back while any of several asks for it") {
  const auto left_of_block = [] {  // of a block that was written to and freed
    const std::int64_t before = held_memory();
    auto block = std::make_unique<std::vector<char>>(gib / 8, 'x');
    REQUIRE(held_memory() - before > gib / 16);
    block.reset();
    return held_memory() - before;
  };
  keep_freed_memory(true);
  std::optional<FrugalMemory> first, second;
  first.emplace();
  second.emplace();
  first.reset();
  CHECK(left_of_block() < gib / 16);
  second.reset();
  CHECK(left_of_block() > gib / 16);
  keep_freed_memory(false);
}

TEST_CASE("amounts of memory") {
  CHECK(parse_bytes("6GB") == 6000000000);
  CHECK(parse_bytes("1.5 GiB") == gib + gib / 2);
  CHECK(parse_bytes("800m") == 800000000);
  CHECK(parse_bytes("123456") == 123456);
  for (const char* text : {"", "GB", "six", "6 apples", "-1GB", "0", "nan", "1e30GB"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_bytes(text), Error);
  }
  CHECK(bytes_text(6000000000) == "6.0 GB");
  CHECK(bytes_text(640400000) == "640 MB");
}
