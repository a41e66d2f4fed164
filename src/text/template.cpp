#include "text/template.h"

#include <nlohmann/json.hpp>

#include "core/error.h"

namespace longhand {
namespace {

using nlohmann::json;

constexpr std::string_view placeholder = "{prompt}";

std::string text_field(const json& object, const char* name, const std::string& where) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_string() || found->get<std::string>().empty()) {
    fail(Kind::corrupt, "{}: a template needs \"{}\", a text that is not empty", where, name);
  }
  return found->get<std::string>();
}

}  // namespace

Template Template::load(const std::string& name_or_path) {
  const fs::path path = name_or_path == "dalle3" ? home() / "data" / "templates" / "dalle3.json"
                                                 : fs::path(name_or_path);
  return parse(read_file(path, 1 << 20), path.string());
}

Template Template::parse(std::string_view text, const std::string& where) {
  const json object = json::parse(text, nullptr, false);
  if (!object.is_object()) {
    fail(Kind::corrupt,
         "{}: expected a JSON object with \"name\", \"system\", \"user\" and \"turns\"", where);
  }
  Template made;
  made.name = text_field(object, "name", where);
  made.system = text_field(object, "system", where);
  made.user = text_field(object, "user", where);
  if (made.user.find(placeholder) == std::string::npos) {
    fail(Kind::corrupt, "{}: \"user\" must contain {}, where the prompt goes", where, placeholder);
  }
  if (const auto temperature = object.find("temperature"); temperature != object.end()) {
    if (!temperature->is_number() || !(*temperature >= 0 && *temperature <= 5)) {
      fail(Kind::corrupt, "{}: \"temperature\" must be a number from 0 to 5", where);
    }
    made.temperature = temperature->get<double>();
  }
  const auto turns = object.find("turns");
  if (turns == object.end()) {
    return made;
  }
  if (!turns->is_array()) {
    fail(Kind::corrupt, "{}: \"turns\" must be a list of {{\"user\", \"assistant\"}}", where);
  }
  for (const json& turn : *turns) {
    if (!turn.is_object()) {
      fail(Kind::corrupt, "{}: each of \"turns\" must have \"user\" and \"assistant\"", where);
    }
    made.turns.push_back({text_field(turn, "user", where), text_field(turn, "assistant", where)});
  }
  return made;
}

std::vector<Message> Template::shared() const {
  std::vector<Message> messages = {{"system", system}};
  for (const Turn& turn : turns) {
    messages.push_back(ask(turn.user));
    messages.push_back({"assistant", turn.assistant});
  }
  return messages;
}

Message Template::ask(std::string_view prompt) const {
  std::string content = user;
  for (std::size_t at = 0; (at = content.find(placeholder, at)) != std::string::npos;) {
    content.replace(at, placeholder.size(), prompt);
    at += prompt.size();
  }
  return {"user", content};
}

std::vector<Message> Template::modify(std::string_view prompt, std::string_view caption,
                                      std::string_view change) const {
  return {ask(prompt), {"assistant", std::string(caption)}, ask(change)};
}

}  // namespace longhand
