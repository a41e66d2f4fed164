// A command's arguments, declared once: flags, help, JSON, validation and picture metadata follow
// from the list.
//
//   struct DrawRequest {
//     std::string prompt;
//     int steps = 25;
//     static constexpr auto fields = std::tuple{
//         field("prompt", &DrawRequest::prompt, "what to paint"),
//         field("steps", &DrawRequest::steps, "denoising steps", 1, 1000),
//     };
//   };
#pragma once

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "core/error.h"

namespace longhand {

/// Width and height in pixels; written WIDTHxHEIGHT.
struct Size {
  int width = 0;
  int height = 0;
  bool operator==(const Size&) const = default;
};

/// One argument: its name (snake_case; the flag is --kebab-case), its member, its help, its range.
template <class Request, class Value>
struct Field {
  const char* name;
  Value Request::* member;
  const char* help;
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
};

template <class Request, class Value>
constexpr Field<Request, Value> field(const char* name, Value Request::* member, const char* help) {
  return {name, member, help};
}
template <class Request, class Value>
constexpr Field<Request, Value> field(const char* name, Value Request::* member, const char* help,
                                      double low, double high) {
  return {name, member, help, low, high};
}

/// Calls visit(field) for each of Request's fields, in order.
template <class Request, class Visit>
void for_each_field(Visit&& visit) {
  std::apply([&](const auto&... each) { (visit(each), ...); }, Request::fields);
}

/// Parsing and printing of one value; parse throws invalid_argument naming `name`.
void parse_value(const std::string& name, const std::string& text, std::string& value);
void parse_value(const std::string& name, const std::string& text, int& value);
void parse_value(const std::string& name, const std::string& text, std::int64_t& value);
void parse_value(const std::string& name, const std::string& text, double& value);
void parse_value(const std::string& name, const std::string& text, bool& value);
void parse_value(const std::string& name, const std::string& text, Size& value);
/// A list: each time the flag is given, one more.
inline void parse_value(const std::string&, const std::string& text,
                        std::vector<std::string>& value) {
  value.push_back(text);
}
template <class Value>
void parse_value(const std::string& name, const std::string& text, std::optional<Value>& value) {
  value.emplace();
  parse_value(name, text, *value);
}

void to_json(nlohmann::json& json, const Size& size);
void from_json(const nlohmann::json& json, Size& size);

template <class>
struct IsOptional : std::false_type {};
template <class Value>
struct IsOptional<std::optional<Value>> : std::true_type {};

/// Checks a numeric value against its field's range; throws invalid_argument.
void check_range(const char* name, double value, double low, double high);

/// The same for a field; values that are not numbers have no range.
template <class Request, class Value>
void check_field(const Field<Request, Value>& field, const Value& value) {
  if constexpr (std::is_arithmetic_v<Value> && !std::is_same_v<Value, bool>) {
    check_range(field.name, static_cast<double>(value), field.low, field.high);
  } else if constexpr (IsOptional<Value>::value) {
    if constexpr (std::is_arithmetic_v<typename Value::value_type>) {
      if (value) {
        check_range(field.name, static_cast<double>(*value), field.low, field.high);
      }
    }
  }
}

/// Checks each field of a request.
template <class Request>
void validate(const Request& request) {
  for_each_field<Request>([&](const auto& each) { check_field(each, request.*each.member); });
}

/// {"steps": 25, …}; an optional that is not set is left out.
template <class Request>
nlohmann::json request_to_json(const Request& request) {
  nlohmann::json json = nlohmann::json::object();
  for_each_field<Request>([&](const auto& each) {
    const auto& value = request.*each.member;
    if constexpr (IsOptional<std::decay_t<decltype(value)>>::value) {
      if (value) {
        json[each.name] = *value;
      }
    } else {
      json[each.name] = value;
    }
  });
  return json;
}

/// The reverse; keys that are absent keep their defaults. Throws invalid_argument for a wrong type,
/// naming the key.
template <class Request>
Request request_from_json(const nlohmann::json& json) {
  Request request;
  for_each_field<Request>([&](const auto& each) {
    if (!json.contains(each.name)) {
      return;
    }
    auto& value = request.*each.member;
    using Value = std::decay_t<decltype(value)>;
    try {
      if constexpr (IsOptional<Value>::value) {
        value = json.at(each.name).template get<typename Value::value_type>();
      } else {
        value = json.at(each.name).template get<Value>();
      }
    } catch (const nlohmann::json::exception&) {
      fail(Kind::invalid_argument, "{}: {} is of the wrong type", each.name,
           json.at(each.name).dump());
    }
  });
  validate(request);
  return request;
}

}  // namespace longhand
