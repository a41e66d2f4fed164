// One turn of a conversation with a language model.
#pragma once

#include <string>

namespace longhand {

struct Message {
  std::string role;  // "system", "user" or "assistant"
  std::string content;
  bool operator==(const Message&) const = default;
};

}  // namespace longhand
