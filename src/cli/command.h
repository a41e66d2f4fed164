// The table of commands, and options made from a request's fields.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "core/fields.h"

namespace longhand {

/// A verb of the binary: a row of the table in main.cpp, a file of src/cli.
struct Command {
  const char* name;
  const char* summary;
  /// Declares options on the subcommand and returns what runs once they are parsed.
  std::function<int()> (*declare)(CLI::App& app);
};

std::string kebab(const std::string& snake);

/// Which part of a job this process does, and of how many: "2/8" → 2, 8. Throws invalid_argument.
std::pair<std::int64_t, std::int64_t> shard_of(const std::string& text);

/// Sends what was printed on its way; throws unavailable where standard output takes no more.
void flush_output();

/// Declares --kebab-name for each of Request's fields, with its default in the help; bool members
/// become flags. The request must outlive the parse.
template <class Request>
void add_fields(CLI::App& app, Request& request) {
  for_each_field<Request>([&](const auto& each) {
    const std::string flag = kebab(each.name);
    auto& value = request.*each.member;
    using Value = std::decay_t<decltype(value)>;
    if constexpr (std::is_same_v<Value, bool>) {
      app.add_flag("--" + flag, value, each.help);
    } else {
      auto* option = app.add_option_function<std::string>(
          "--" + flag,
          [&value, each, flag](const std::string& text) {
            parse_value(flag, text, value);
            check_field(each, value);
          },
          each.help);
      if constexpr (std::is_same_v<Value, std::vector<std::string>>) {
        option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->trigger_on_parse();
      }
      if constexpr (std::is_arithmetic_v<Value>) {
        option->default_str(fmt::format("{}", value));
      } else if constexpr (std::is_same_v<Value, std::string>) {
        option->default_str(value);
      }
    }
  });
}

}  // namespace longhand
