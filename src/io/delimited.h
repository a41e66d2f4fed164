// Records of CSV and TSV (RFC 4180): quoted fields, doubled quotes, line ends within quotes.
#pragma once

#include <cstdint>
#include <istream>
#include <optional>
#include <string>
#include <vector>

namespace longhand {

class DelimitedRecords {
 public:
  DelimitedRecords(std::istream& stream, std::string name, char separator)
      : stream_(stream), name_(std::move(name)), separator_(separator) {}

  /// The next record that is not an empty line. Throws corrupt where a quote is not closed; the
  /// stream then stands at the line after the record's first.
  std::optional<std::vector<std::string>> next();
  /// Records read so far, broken ones counted.
  std::int64_t number() const { return number_; }

 private:
  std::istream& stream_;
  std::string name_;
  char separator_;
  std::int64_t number_ = 0;
};

/// A field as it is written: in quotes where it needs them.
std::string delimited_field(const std::string& text, char separator);

}  // namespace longhand
