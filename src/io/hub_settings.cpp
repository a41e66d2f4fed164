#include "io/hub_settings.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "core/error.h"

namespace longhand {
namespace {

std::string variable(const std::string& name) {
  const char* set = std::getenv(name.c_str());
  return set == nullptr ? "" : set;
}

std::string first_set(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (std::string value = variable(name); !value.empty()) {
      return value;
    }
  }
  return {};
}

bool is_true(std::string value) {
  std::ranges::transform(value, value.begin(), [](unsigned char c) { return std::toupper(c); });
  return value == "1" || value == "ON" || value == "YES" || value == "TRUE";
}

/// "~/x", "$NAME/x" and "${NAME}/x" as Python's expanduser and expandvars read them; a variable
/// that is not set stays as written.
fs::path expanded(std::string text) {
  if (text == "~" || text.starts_with("~/")) {
    text.replace(0, 1, variable("HOME"));
  }
  std::string result;
  for (std::size_t i = 0; i < text.size();) {
    const bool braces = text[i] == '$' && text.substr(i + 1, 1) == "{";
    const std::size_t begin = i + (braces ? 2 : 1);
    std::size_t end = begin;
    while (text[i] == '$' && end < text.size() &&
           (std::isalnum(static_cast<unsigned char>(text[end])) != 0 || text[end] == '_')) {
      ++end;
    }
    const bool named = end > begin && (!braces || text.substr(end, 1) == "}");
    const std::size_t after = !named ? i + 1 : braces ? end + 1 : end;
    const std::string value = named ? variable(text.substr(begin, end - begin)) : "";
    result += value.empty() ? text.substr(i, after - i) : value;
    i = after;
  }
  return result;
}

fs::path home_folder() {
  if (const std::string set = variable("HF_HOME"); !set.empty()) {
    return expanded(set);
  }
  const std::string xdg = variable("XDG_CACHE_HOME");
  return expanded(xdg.empty() ? "~/.cache" : xdg) / "huggingface";
}

std::string stored_token(const fs::path& home) {
  const std::string set = variable("HF_TOKEN_PATH");
  const fs::path path = set.empty() ? home / "token" : expanded(set);
  return fs::is_regular_file(path) ? read_file(path, 1 << 16) : "";
}

std::string token_of(const fs::path& home) {
  if (is_true(variable("HF_HUB_DISABLE_IMPLICIT_TOKEN"))) {
    return {};
  }
  std::string token = first_set({"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"});
  if (token.empty()) {
    token = stored_token(home);
  }
  const auto is_space = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  token.erase(std::ranges::find_if_not(token.rbegin(), token.rend(), is_space).base(), token.end());
  token.erase(token.begin(), std::ranges::find_if_not(token, is_space));
  if (!std::ranges::all_of(token, [](char c) { return c > ' ' && c < 0x7f; })) {
    fail(Kind::invalid_argument,
         "the hub's token (HF_TOKEN, or the file that `hf auth login` stores) has spaces or "
         "characters that no token has; set it anew");
  }
  return token;
}

}  // namespace

HubSettings HubSettings::from_environment() {
  const fs::path home = home_folder();
  HubSettings settings;
  const std::string cache = first_set({"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"});
  settings.cache = fs::absolute(cache.empty() ? home / "hub" : expanded(cache));
  settings.endpoint = first_set({"HF_ENDPOINT"});
  if (settings.endpoint.empty()) {
    settings.endpoint = "https://huggingface.co";
  }
  while (settings.endpoint.ends_with('/')) {
    settings.endpoint.pop_back();
  }
  settings.token = token_of(home);
  settings.offline = is_true(first_set({"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"}));
  return settings;
}

}  // namespace longhand
