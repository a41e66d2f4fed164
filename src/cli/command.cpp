#include "cli/command.h"

#include <algorithm>

namespace longhand {

std::string kebab(const std::string& snake) {
  std::string flag = snake;
  std::ranges::replace(flag, '_', '-');
  return flag;
}

}  // namespace longhand
