#include <fcntl.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "io/delimited.h"
#include "io/table.h"

namespace longhand {
namespace {

std::string cell_text(const Cell& cell) {
  if (const auto* text = std::get_if<std::string>(&cell)) {
    return *text;
  }
  if (const auto* whole = std::get_if<std::int64_t>(&cell)) {
    return std::to_string(*whole);
  }
  if (const auto* number = std::get_if<double>(&cell)) {
    return fmt::format("{}", *number);
  }
  return {};
}

nlohmann::json cell_json(const Cell& cell) {
  return std::visit(
      [](const auto& value) -> nlohmann::json {
        if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::monostate>) {
          return nullptr;
        } else {
          return value;
        }
      },
      cell);
}

bool delimited(const std::string& ending) { return ending == ".csv" || ending == ".tsv"; }

/// The length of a text up to the end of its last whole row: a line end outside quotation marks.
std::size_t whole_rows(const std::string& text, bool quotes) {
  std::size_t end = 0;
  bool open = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    open = quotes && text[i] == '"' ? !open : open;
    end = text[i] == '\n' && !open ? i + 1 : end;
  }
  return end;
}

}  // namespace

RowWriter::RowWriter(const fs::path& path, std::vector<std::string> columns,
                     const std::string& text_column, bool overwrite)
    : path_(path), ending_(path.extension()), columns_(std::move(columns)) {
  if (!delimited(ending_) && ending_ != ".jsonl" && ending_ != ".txt") {
    fail(Kind::invalid_argument, "{}: the ending \"{}\" is not known; expected .jsonl, .csv, .tsv or .txt",
         path.string(), ending_);
  }
  text_column_ = static_cast<std::size_t>(std::ranges::find(columns_, text_column) - columns_.begin());
  std::error_code code;
  if (path.has_parent_path()) {
    fs::create_directories(path.parent_path(), code);
  }
  file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file_ < 0) {
    fail(Kind::unavailable, "{} cannot be written: {}", path.string(), std::strerror(errno));
  }
  if (overwrite && ftruncate(file_, 0) != 0) {
    fail(Kind::unavailable, "{} cannot be emptied: {}", path.string(), std::strerror(errno));
  }
  go_on(fs::is_regular_file(path) ? read_file(path, std::size_t{1} << 36) : "");
}

RowWriter::~RowWriter() { ::close(file_); }

/// Drops an unfinished last row, reads the others, or begins the file with its header.
void RowWriter::go_on(std::string text) {
  const std::size_t whole = whole_rows(text, delimited(ending_));
  if (whole != text.size()) {
    if (ftruncate(file_, static_cast<off_t>(whole)) != 0) {
      fail(Kind::unavailable, "{} cannot be shortened: {}", path_.string(), std::strerror(errno));
    }
  }
  if (whole == 0) {
    if (delimited(ending_)) {
      const char separator = ending_ == ".csv" ? ',' : '\t';
      write(fmt::format("{}\n", fmt::join(columns_, std::string(1, separator))));
    }
    return;
  }
  const auto reader = RowReader::open(path_);
  std::vector<std::string> have = reader->columns(), want = columns_;
  if (ending_ == ".jsonl") {  // JSON's keys have no order
    std::ranges::sort(have);
    std::ranges::sort(want);
  }
  if (ending_ != ".txt" && have != want) {
    fail(Kind::invalid_argument, "{} has the columns {}; expected {}: name another file or --overwrite",
         path_.string(), fmt::join(reader->columns(), ", "), fmt::join(columns_, ", "));
  }
  while (auto row = reader->next()) {
    std::vector<std::string> ordered(columns_.size());
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const auto at = ending_ == ".txt" ? reader->columns().end() : std::ranges::find(reader->columns(), columns_[i]);
      if (at != reader->columns().end()) {
        ordered[i] = (*row)[static_cast<std::size_t>(at - reader->columns().begin())];
      } else if (i == text_column_) {
        ordered[i] = row->front();
      }
    }
    existing_.push_back(std::move(ordered));
  }
}

void RowWriter::append(const std::vector<Cell>& cells) {
  std::string row;
  if (ending_ == ".txt") {
    row = cell_text(cells[text_column_]);
    std::ranges::replace(row, '\n', ' ');
  } else if (ending_ == ".jsonl") {
    nlohmann::ordered_json object;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      object[columns_[i]] = cell_json(cells[i]);
    }
    row = object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  } else {
    const char separator = ending_ == ".csv" ? ',' : '\t';
    for (std::size_t i = 0; i < cells.size(); ++i) {
      row += (i == 0 ? std::string() : std::string(1, separator)) +
             delimited_field(cell_text(cells[i]), separator);
    }
  }
  write(row + "\n");
}

/// One write of whole rows; where the disk is full, what was written of it is taken back.
void RowWriter::write(const std::string& bytes) {
  const off_t before = lseek(file_, 0, SEEK_END);
  const ssize_t wrote = ::write(file_, bytes.data(), bytes.size());
  if (wrote == static_cast<ssize_t>(bytes.size())) {
    return;
  }
  const int error = wrote < 0 ? errno : ENOSPC;
  if (wrote > 0 && ftruncate(file_, before) != 0) {
    fail(Kind::unavailable, "{}: half a row was written and cannot be taken back: {}",
         path_.string(), std::strerror(errno));
  }
  fail(Kind::unavailable, "{} cannot be written: {}; what was written is whole, and the same command goes on from it",
       path_.string(), std::strerror(error));
}

}  // namespace longhand
