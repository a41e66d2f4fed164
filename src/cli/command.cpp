#include "cli/command.h"

#include <algorithm>
#include <cerrno>
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

}  // namespace longhand
