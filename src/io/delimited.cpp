#include "io/delimited.h"

#include <string_view>

#include "core/error.h"

namespace longhand {
namespace {

constexpr std::size_t longest_record = 16 << 20;

/// One record, fed line by line. Text after a closing quote is kept, as Python's csv and pandas do:
/// published tables have it.
class Record {
 public:
  explicit Record(char separator) : separator_(separator) {}

  /// The next line without its line feed. True once the record is whole: no quote is open.
  bool feed(std::string_view line) {
    if (quoted_) {
      fields_.back() += '\n';
    }
    for (std::size_t i = 0; i < line.size(); ++i) {
      const char c = line[i];
      const bool last = i + 1 == line.size();
      if (quoted_) {
        if (c != '"') {
          fields_.back() += c;
        } else if (!last && line[i + 1] == '"') {
          fields_.back() += '"';
          ++i;
        } else {
          quoted_ = false;
          closed_ = true;
        }
      } else if (c == separator_) {
        fields_.emplace_back();
        closed_ = false;
      } else if (c == '"' && fields_.back().empty() && !closed_) {
        quoted_ = true;
      } else if (c != '\r' || !last) {
        fields_.back() += c;
      }
    }
    return !quoted_;
  }

  std::vector<std::string> take() { return std::move(fields_); }

 private:
  char separator_;
  std::vector<std::string> fields_ = {""};
  bool quoted_ = false, closed_ = false;
};

}  // namespace

std::optional<std::vector<std::string>> DelimitedRecords::next() {
  std::string line;
  do {
    if (!std::getline(stream_, line)) {
      return std::nullopt;
    }
  } while (line.empty() || line == "\r");
  ++number_;
  const auto after_first = stream_.tellg();
  std::size_t size = line.size();
  Record record(separator_);
  while (!record.feed(line)) {
    if (size > longest_record || !std::getline(stream_, line)) {
      stream_.clear();
      stream_.seekg(after_first);
      fail(Kind::corrupt, "{}, row {}: a quotation mark is opened and never closed", name_,
           number_ - 1);
    }
    size += line.size();
  }
  return record.take();
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
