#pragma once

#include <algorithm>
#include <cctype>
#include <string>

namespace longhand {

/// ASCII letters made small, all other bytes as they are.
inline std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) {
    return c < 128 ? static_cast<char>(std::tolower(c)) : static_cast<char>(c);
  });
  return text;
}

}  // namespace longhand
