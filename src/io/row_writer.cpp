#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "core/error.h"
#include "io/dataset.h"
#include "io/delimited.h"
#include "io/parquet.h"
#include "io/table.h"
#include "io/webdataset.h"

namespace longhand {
namespace {

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

struct WholeRows {
  std::int64_t bytes = 0, count = 0;
};

/// A file up to the end of its last whole row: a line end outside quotation marks.
WholeRows whole_rows(const fs::path& path, bool quotes) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> block(1 << 20);
  WholeRows whole;
  std::int64_t at = 0;
  bool open = false;
  while (file.read(block.data(), std::ssize(block)), file.gcount() > 0) {
    for (const char letter : std::span(block).first(static_cast<std::size_t>(file.gcount()))) {
      ++at;
      open = quotes && letter == '"' ? !open : open;
      if (letter == '\n' && !open) {
        whole = {at, whole.count + 1};
      }
    }
  }
  return whole;
}

std::vector<std::string> names_of(const std::vector<Column>& columns) {
  std::vector<std::string> names;
  for (const Column& column : columns) {
    names.push_back(column.name);
  }
  return names;
}

/// The first rows of a table, their cells in another table's order of columns.
class RowsBefore : public RowReader {
 public:
  /// `text_column` is what a .txt file holds.
  RowsBefore(const fs::path& path, std::vector<std::string> columns, const std::string& text_column,
             std::int64_t count)
      : columns_(std::move(columns)), left_(count) {
    if (count == 0) {
      return;
    }
    rows_ = RowReader::open(path);
    std::vector<std::string> have = rows_->columns();
    if (path.extension() == ".txt") {
      have = {text_column};
    }
    for (const std::string& column : columns_) {
      places_.push_back(std::ranges::find(have, column) - have.begin());
    }
  }

  const std::vector<std::string>& columns() const override { return columns_; }

  std::optional<std::vector<std::string>> next() override {
    const auto row = left_ > 0 ? rows_->next() : std::nullopt;
    if (!row) {
      return std::nullopt;
    }
    --left_;
    std::vector<std::string> ordered;
    for (const std::ptrdiff_t place : places_) {
      ordered.push_back(place < std::ssize(*row) ? (*row)[static_cast<std::size_t>(place)] : "");
    }
    return ordered;
  }

 private:
  std::vector<std::string> columns_;
  std::vector<std::ptrdiff_t> places_;  // of a column in the file; past its end: not there
  std::unique_ptr<RowReader> rows_;
  std::int64_t left_;
};

}  // namespace

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

RowWriter::Form RowWriter::form_of(const fs::path& path) {
  const std::string ending = path.extension();
  std::error_code code;
  if (ending.empty() || fs::is_directory(path, code)) {
    return Form::folder;
  }
  if (ending == ".parquet" || ending == ".tar") {
    return ending == ".tar" ? Form::tar : Form::parquet;
  }
  if (!delimited(ending) && ending != ".jsonl" && ending != ".txt") {
    fail(
        Kind::invalid_argument,
        "{}: the ending \"{}\" is not known; expected .jsonl, .csv, .tsv, .txt, .parquet, .tar, or "
        "none for a dataset folder",
        path.string(), ending);
  }
  return Form::rows;
}

fs::path RowWriter::journal_of(const fs::path& path) {
  switch (form_of(path)) {
    case Form::folder:
      return path / "rows.jsonl";
    case Form::parquet:
    case Form::tar:
      return path.string() + ".rows.jsonl";
    case Form::rows:
      break;
  }
  return path;
}

RowWriter::RowWriter(const fs::path& path, std::vector<Column> columns, RowOptions options)
    : form_(form_of(path)),
      path_(path),
      rows_(journal_of(path)),
      ending_(rows_.extension()),
      columns_(std::move(columns)),
      options_(std::move(options)) {
  std::error_code code;
  if (rows_.has_parent_path()) {
    fs::create_directories(rows_.parent_path(), code);
  }
  if (form_ != Form::rows && !fs::exists(rows_, code)) {
    restore();
  }
  file_.descriptor = ::open(rows_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file_.descriptor < 0) {
    fail(Kind::unavailable, "{} cannot be written: {}", rows_.string(), std::strerror(errno));
  }
  if (flock(file_.descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    fail(Kind::unavailable, "{} is being written by another run; wait for its end", rows_.string());
  }
  if (options_.overwrite && ftruncate(file_.descriptor, 0) != 0) {
    fail(Kind::unavailable, "{} cannot be emptied: {}", rows_.string(), std::strerror(errno));
  }
  go_on();
}

RowWriter::File::~File() {
  if (descriptor >= 0) {
    ::close(descriptor);
  }
}

/// Makes the journal from the Parquet or tar file that is there, if any.
void RowWriter::restore() {
  std::vector<fs::path> files;
  std::error_code code;
  if (form_ == Form::folder) {
    files = dataset_shards(path_);
    if (files.empty() && fs::exists(path_ / "README.md", code)) {
      fail(Kind::invalid_argument,
           "{} has a README.md and no rows: it is no dataset to go on with; name another folder",
           path_.string());
    }
  } else if (fs::exists(path_, code)) {
    files = {path_};
  }
  if (files.empty() || options_.overwrite) {
    return;
  }
  if (form_ == Form::tar) {
    restore_journal_from_webdataset(rows_, path_, columns_);
    return;
  }
  for (const fs::path& file : files) {
    check_columns(ParquetReader(file).columns(), file);
  }
  restore_journal(rows_, files, columns_, form_ == Form::folder ? path_ : path_.parent_path());
}

/// What a file of no whole row holds where a run of this command was cut off in its first write.
bool RowWriter::begun_by_us() const {
  std::string text(std::size_t{1} << 16, '\0');
  std::ifstream file(rows_, std::ios::binary);
  file.read(text.data(), std::ssize(text));
  text.resize(static_cast<std::size_t>(file.gcount()));
  const std::string separator = ending_ == ".csv" ? "," : "\t";
  const std::string begin = delimited(ending_)
                                ? fmt::format("{}\n", fmt::join(names_of(columns_), separator))
                            : ending_ == ".jsonl" ? "{\"" + columns_.front().name + "\":"
                                                  : "";
  return begin.starts_with(text) || (ending_ == ".jsonl" && text.starts_with(begin));
}

/// Drops an unfinished last row and counts the others, or begins the file with its header. A file
/// that is not of this table is left as it is.
void RowWriter::go_on() {
  if (!fs::is_regular_file(rows_)) {  // what is no file, such as a pipe, has nothing to go on from
    begin();
    return;
  }
  const auto [whole, lines] = whole_rows(rows_, delimited(ending_));
  if (whole == 0 && !begun_by_us()) {
    fail(Kind::invalid_argument,
         "{} is not a table of this command; name another file or --overwrite", rows_.string());
  }
  if (whole > 0 && ending_ != ".txt") {
    check_columns(RowReader::open(rows_)->columns(), rows_);
  }
  if (ftruncate(file_.descriptor, whole) != 0) {
    fail(Kind::unavailable, "{} cannot be shortened: {}", rows_.string(), std::strerror(errno));
  }
  if (whole == 0) {
    begin();
    return;
  }
  if (ending_ == ".txt") {
    before_ = lines;  // also empty ones, which a reader of prompts passes over
    return;
  }
  const auto rows = RowReader::open(rows_);
  while (rows->next()) {
    ++before_;
  }
}

void RowWriter::begin() {
  if (delimited(ending_)) {
    const char separator = ending_ == ".csv" ? ',' : '\t';
    write(fmt::format("{}\n", fmt::join(names_of(columns_), std::string(1, separator))));
  }
}

std::unique_ptr<RowReader> RowWriter::existing() const {
  return std::make_unique<RowsBefore>(rows_, names_of(columns_), options_.text_column, before_);
}

void RowWriter::check_existing(
    const std::string& what,
    const std::function<bool(std::int64_t, const std::vector<std::string>&)>& same) const {
  const auto rows = existing();
  std::int64_t number = 0;
  while (const auto row = rows->next()) {
    if (!same(number++, *row)) {
      fail(Kind::invalid_argument,
           "{}: row {} is of another run ({} differ); name another {} or --overwrite",
           path_.string(), number, what, form_ == Form::folder ? "folder" : "file");
    }
  }
}

/// Only CSV and TSV have an order that rows to come must follow.
void RowWriter::check_columns(std::vector<std::string> have, const fs::path& path) const {
  std::vector<std::string> want = names_of(columns_), listed = have;
  if (!delimited(ending_)) {
    std::ranges::sort(have);
    std::ranges::sort(want);
  }
  if (have != want) {
    fail(Kind::invalid_argument,
         "{} has the columns {}; expected {}: name another file or --overwrite", path.string(),
         fmt::join(listed, ", "), fmt::join(names_of(columns_), ", "));
  }
}

void RowWriter::append(const std::vector<Cell>& cells) {
  std::string row;
  if (ending_ == ".txt") {
    const auto column = std::ranges::find(columns_, options_.text_column, &Column::name);
    row = cell_text(cells.at(static_cast<std::size_t>(column - columns_.begin())));
    std::ranges::replace(row, '\n', ' ');
  } else if (ending_ == ".jsonl") {
    nlohmann::ordered_json object;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      object[columns_[i].name] = cell_json(cells[i]);
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

void RowWriter::finish() {
  if (fsync(file_.descriptor) != 0 && errno != EINVAL) {  // EINVAL: what is no file, such as a pipe
    fail(Kind::unavailable, "{} cannot be written: {}", rows_.string(), std::strerror(errno));
  }
  if (form_ == Form::folder) {
    write_dataset(path_, rows_, columns_, options_);
  } else if (form_ == Form::parquet) {
    write_parquet(path_, rows_, columns_);
    fs::remove(rows_);
  } else if (form_ == Form::tar) {
    write_webdataset(path_, rows_, columns_, options_.text_column);
    fs::remove(rows_);
  }
  ::close(std::exchange(file_.descriptor, -1));
}

/// One write of whole rows; where the disk is full, what was written of it is taken back.
void RowWriter::write(const std::string& bytes) {
  const off_t before = lseek(file_.descriptor, 0, SEEK_END);
  const ssize_t wrote = ::write(file_.descriptor, bytes.data(), bytes.size());
  if (wrote == static_cast<ssize_t>(bytes.size())) {
    return;
  }
  const int error = wrote < 0 ? errno : ENOSPC;
  if (wrote > 0 && ftruncate(file_.descriptor, before) != 0) {
    fail(Kind::unavailable, "{}: half a row was written and cannot be taken back: {}",
         rows_.string(), std::strerror(errno));
  }
  fail(Kind::unavailable,
       "{} cannot be written: {}; what was written is whole, and the same command goes on from it",
       rows_.string(), std::strerror(error));
}

}  // namespace longhand
