#include "models/config.h"

#include "core/error.h"

namespace longhand {

using nlohmann::json;

json read_config(const fs::path& path) {
  json config = json::parse(read_file(path, 16 << 20), nullptr, false);
  if (!config.is_object()) {
    fail(Kind::corrupt, "{}: expected a JSON object with the model's configuration", path.string());
  }
  return config;
}

std::vector<int> config_per_block(const json& config, const char* name, int fallback,
                                  std::size_t count) {
  const auto found = config.find(name);
  if (found != config.end() && found->is_array()) {
    const auto values = config_value<std::vector<int>>(config, name, {});
    if (values.size() != count) {
      fail(Kind::corrupt, "config field {} has {} values for {} blocks", name, values.size(),
           count);
    }
    return values;
  }
  return std::vector<int>(count, config_value<int>(config, name, fallback));
}

void refuse_other_values(const json& config, const char* what,
                         const std::vector<std::pair<const char*, json>>& supported) {
  for (const auto& [name, value] : supported) {
    const auto found = config.find(name);
    if (found != config.end() && !found->is_null() && *found != value) {
      fail(Kind::corrupt, "{}'s config has {} = {}; only {} is supported", what, name,
           found->dump(), value.dump());
    }
  }
}

void fail_config(const char* name, const json& value) {
  fail(Kind::corrupt, "config field {} has the unexpected value {}", name, value.dump());
}

}  // namespace longhand
