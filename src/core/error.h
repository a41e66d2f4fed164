// The one way a request stops: throw Error{kind, message}.
// The message says what, where, expected and got, and what to do next.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace longhand {

enum class Kind {
  invalid_argument,
  not_found,
  corrupt,
  out_of_memory,
  cancelled,
  unavailable,
  internal,
};

class Error : public std::runtime_error {
 public:
  Error(Kind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  Kind kind() const { return kind_; }

 private:
  Kind kind_;
};

/// Throws Error with a formatted message.
template <class... Args>
[[noreturn]] void fail(Kind kind, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(kind, fmt::format(format, std::forward<Args>(args)...));
}

/// The process's exit code for an error: 2 usage, 3 not found, 4 corrupt, 5 memory,
/// 6 unavailable, 70 internal, 130 cancelled (as a shell reports SIGINT).
int exit_code(Kind kind);

/// The HTTP status that a server answers with.
int http_status(Kind kind);

}  // namespace longhand
