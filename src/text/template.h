// Upsampling templates: the system turn, example turns, and the wording of a user's turn, as data.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/files.h"
#include "core/message.h"

namespace longhand {

/// A JSON file: {"name", "source", "system", "user": "… '{prompt}'", "turns": [{"user",
/// "assistant"}], "temperature": 0.7}, the last two where wanted. DALL·E 3's is
/// data/templates/dalle3.json.
struct Template {
  std::string name;
  std::string system;
  std::string user;  // contains {prompt}
  struct Turn {
    std::string user, assistant;
  };
  std::vector<Turn> turns;
  std::optional<double> temperature;  // to sample at where nobody asks for another

  /// "dalle3" → data/templates/dalle3.json; anything else is a path. Throws not_found, corrupt.
  static Template load(const std::string& name_or_path);
  static Template parse(std::string_view json, const std::string& where);

  /// System and example turns: what all prompts share.
  std::vector<Message> shared() const;
  /// The user's turn for a prompt.
  Message ask(std::string_view prompt) const;
  /// Turns that ask for a change of an earlier caption, as the report's second example does.
  std::vector<Message> modify(std::string_view prompt, std::string_view caption,
                              std::string_view change) const;
};

}  // namespace longhand
