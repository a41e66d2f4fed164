// Any bytes as CSV, TSV and JSONL: rows of as many cells as there are columns; a broken row throws
// and reading goes on.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>

#include "core/error.h"
#include "io/delimited.h"
#include "io/table.h"

namespace {

void read_delimited(const std::string& text, char separator) {
  std::istringstream stream(text);
  longhand::DelimitedRecords records(stream, "fuzz", separator);
  for (std::size_t i = 0; i <= text.size(); ++i) {
    try {
      const auto record = records.next();
      if (!record) {
        return;
      }
      std::string again;
      for (const std::string& field : *record) {
        again += (again.empty() ? "" : std::string(1, separator)) +
                 longhand::delimited_field(field, separator);
      }
    } catch (const longhand::Error& error) {
      if (error.kind() != longhand::Kind::corrupt) {
        std::abort();
      }
    }
  }
  std::abort();  // more records than bytes: it does not move on
}

void read_json_lines(const std::string& text) {
  static const longhand::fs::path path =
      longhand::fs::temp_directory_path() / fmt::format("longhand-fuzz-{}.jsonl", getpid());
  longhand::write_file_atomically(path, text);
  std::unique_ptr<longhand::RowReader> reader;
  try {
    reader = longhand::RowReader::open(path);
  } catch (const longhand::Error&) {
    return;
  }
  for (std::size_t i = 0; i <= text.size(); ++i) {
    try {
      const auto row = reader->next();
      if (!row) {
        return;
      }
      if (row->size() != reader->columns().size()) {
        std::abort();
      }
    } catch (const longhand::Error&) {
    }
  }
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  read_delimited(text, ',');
  read_delimited(text, '\t');
  if (size > 0 && data[0] % 16 == 0) {  // files are slow
    read_json_lines(text);
  }
  return 0;
}
