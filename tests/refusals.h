// What tests of refusals share.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <string>

#include "core/error.h"

namespace longhand {

/// What someone who asks for something impossible is told; "" where it is not refused.
inline std::string refusal(const std::function<void()>& action,
                           Kind kind = Kind::invalid_argument) {
  try {
    action();
  } catch (const Error& error) {
    CHECK(error.kind() == kind);
    return error.what();
  }
  return "";
}

inline bool has(const std::string& text, const std::string& part) {
  CAPTURE(text);
  CAPTURE(part);
  return text.find(part) != std::string::npos;
}

}  // namespace longhand
