// Reading a model's config.json: fields keep their published names; what is absent has diffusers'
// default.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "core/files.h"

namespace longhand {

/// A config.json, checked to be an object. Throws not_found, corrupt.
nlohmann::json read_config(const fs::path& path);

/// A field of a config, or its default where it is absent or null. Throws corrupt for another type.
template <class Value>
Value config_value(const nlohmann::json& config, const char* name, Value fallback);

/// A field that may be one value for all blocks or a list of `count` values.
std::vector<int> config_per_block(const nlohmann::json& config, const char* name, int fallback,
                                  std::size_t count);

/// Throws corrupt where a field is set, and not to the one value that is supported: for fields that
/// would change the numbers. `what` names the model.
void refuse_other_values(const nlohmann::json& config, const char* what,
                         const std::vector<std::pair<const char*, nlohmann::json>>& supported);

[[noreturn]] void fail_config(const char* name, const nlohmann::json& value);

template <class Value>
Value config_value(const nlohmann::json& config, const char* name, Value fallback) {
  const auto found = config.find(name);
  if (found == config.end() || found->is_null()) {
    return fallback;
  }
  try {
    return found->template get<Value>();
  } catch (const nlohmann::json::exception&) {
    fail_config(name, *found);
  }
}

}  // namespace longhand
