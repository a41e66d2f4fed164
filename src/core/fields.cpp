#include "core/fields.h"

#include <charconv>

namespace longhand {
namespace {

template <class Number>
void parse_number(const std::string& name, const std::string& text, Number& value,
                  const char* kind) {
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stopped != end) {
    fail(Kind::invalid_argument, "--{} {}: expected {}", name, text, kind);
  }
}

}  // namespace

void parse_value(const std::string&, const std::string& text, std::string& value) { value = text; }

void parse_value(const std::string& name, const std::string& text, int& value) {
  parse_number(name, text, value, "a whole number");
}

void parse_value(const std::string& name, const std::string& text, std::int64_t& value) {
  parse_number(name, text, value, "a whole number");
}

void parse_value(const std::string& name, const std::string& text, double& value) {
  parse_number(name, text, value, "a number");
  if (!std::isfinite(value)) {
    fail(Kind::invalid_argument, "--{} {}: expected a finite number", name, text);
  }
}

void parse_value(const std::string& name, const std::string& text, bool& value) {
  if (text == "true" || text == "1" || text == "yes") {
    value = true;
  } else if (text == "false" || text == "0" || text == "no") {
    value = false;
  } else {
    fail(Kind::invalid_argument, "--{} {}: expected true or false", name, text);
  }
}

void parse_value(const std::string& name, const std::string& text, Size& value) {
  const auto x = text.find('x');
  if (x == std::string::npos) {
    fail(Kind::invalid_argument, "--{} {}: expected WIDTHxHEIGHT, as in 128x128", name, text);
  }
  parse_number(name, text.substr(0, x), value.width, "WIDTHxHEIGHT, as in 128x128");
  parse_number(name, text.substr(x + 1), value.height, "WIDTHxHEIGHT, as in 128x128");
  if (value.width <= 0 || value.height <= 0 || value.width > 16384 || value.height > 16384) {
    fail(Kind::invalid_argument, "--{} {}: each side must be between 1 and 16384", name, text);
  }
}

void to_json(nlohmann::json& json, const Size& size) {
  json = fmt::format("{}x{}", size.width, size.height);
}

void from_json(const nlohmann::json& json, Size& size) {
  parse_value("size", json.get<std::string>(), size);
}

void check_range(const char* name, double value, double low, double high) {
  if (!(value >= low && value <= high)) {
    fail(Kind::invalid_argument, "{} is {}; it must be between {} and {}", name, value, low, high);
  }
}

}  // namespace longhand
