#include "io/delimited.h"

#include "core/error.h"

namespace longhand {
namespace {

constexpr std::size_t longest_record = 16 << 20;

/// Splits one record; false where a quote is open at its end. Text after a closing quote is kept,
/// as Python's csv and pandas do: published tables have it.
bool split(const std::string& line, char separator, std::vector<std::string>& fields) {
  fields.assign(1, "");
  bool quoted = false, closed = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quoted) {
      if (c == '"' && i + 1 < line.size() && line[i + 1] == '"') {
        fields.back() += '"';
        ++i;
      } else if (c == '"') {
        quoted = false;
        closed = true;
      } else {
        fields.back() += c;
      }
    } else if (c == separator) {
      fields.emplace_back();
      closed = false;
    } else if (c == '"' && fields.back().empty() && !closed) {
      quoted = true;
    } else {
      fields.back() += c;
    }
  }
  return !quoted;
}

}  // namespace

std::optional<std::vector<std::string>> DelimitedRecords::next() {
  std::string record, line;
  std::vector<std::string> fields;
  while (record.empty()) {
    if (!std::getline(stream_, record)) {
      return std::nullopt;
    }
    if (record.ends_with('\r')) {
      record.pop_back();
    }
  }
  ++number_;
  const auto after_first = stream_.tellg();
  while (!split(record, separator_, fields)) {
    if (record.size() > longest_record || !std::getline(stream_, line)) {
      stream_.clear();
      stream_.seekg(after_first);
      fail(Kind::corrupt, "{}, row {}: a quotation mark is opened and never closed", name_,
           number_ - 1);
    }
    if (line.ends_with('\r')) {
      line.pop_back();
    }
    record += '\n' + line;
  }
  return fields;
}

std::string delimited_field(const std::string& text, char separator) {
  if (text.find_first_of(std::string("\"\r\n") + separator) == std::string::npos) {
    return text;
  }
  std::string quoted = "\"";
  for (const char c : text) {
    quoted += c;
    if (c == '"') {
      quoted += '"';
    }
  }
  return quoted + '"';
}

}  // namespace longhand
