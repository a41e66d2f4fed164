#include "cli/command.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>

namespace longhand {

std::string kebab(const std::string& snake) {
  std::string flag = snake;
  std::ranges::replace(flag, '_', '-');
  return flag;
}

void flush_output() {
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    fail(Kind::unavailable, "standard output cannot be written: {}", std::strerror(errno));
  }
}

std::pair<std::int64_t, std::int64_t> shard_of(const std::string& text) {
  std::int64_t part = -1, parts = 0;
  const char* const end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, part);
  if (first.ec == std::errc() && first.ptr != end && *first.ptr == '/') {
    const auto second = std::from_chars(first.ptr + 1, end, parts);
    if (second.ec == std::errc() && second.ptr == end && part >= 0 && part < parts) {
      return {part, parts};
    }
  }
  fail(Kind::invalid_argument, "--shard is i/n with i from 0 to n-1, as 0/4, not \"{}\"", text);
}

}  // namespace longhand
