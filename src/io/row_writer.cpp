#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
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

std::vector<std::string> names_of(const std::vector<Column>& columns) {
  std::vector<std::string> names;
  for (const Column& column : columns) {
    names.push_back(column.name);
  }
  return names;
}

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
  go_on(fs::is_regular_file(rows_) ? read_file(rows_, std::size_t{1} << 36) : "");
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
bool RowWriter::begun_by_us(const std::string& text) const {
  const std::string separator = ending_ == ".csv" ? "," : "\t";
  const std::string begin = delimited(ending_)
                                ? fmt::format("{}\n", fmt::join(names_of(columns_), separator))
                            : ending_ == ".jsonl" ? "{\"" + columns_.front().name + "\":"
                                                  : "";
  return begin.starts_with(text) || (ending_ == ".jsonl" && text.starts_with(begin));
}

/// Drops an unfinished last row, reads the others, or begins the file with its header. A file that
/// is not of this table is left as it is.
void RowWriter::go_on(std::string text) {
  const std::size_t whole = whole_rows(text, delimited(ending_));
  if (whole == 0 && !begun_by_us(text)) {
    fail(Kind::invalid_argument,
         "{} is not a table of this command; name another file or --overwrite", rows_.string());
  }
  if (whole > 0 && ending_ != ".txt") {
    check_columns(RowReader::open(rows_)->columns(), rows_);
  }
  if (whole != text.size()) {
    if (ftruncate(file_.descriptor, static_cast<off_t>(whole)) != 0) {
      fail(Kind::unavailable, "{} cannot be shortened: {}", rows_.string(), std::strerror(errno));
    }
  }
  if (whole == 0) {
    if (delimited(ending_)) {
      const char separator = ending_ == ".csv" ? ',' : '\t';
      write(fmt::format("{}\n", fmt::join(names_of(columns_), std::string(1, separator))));
    }
    return;
  }
  const auto reader = RowReader::open(rows_);
  const auto& have = reader->columns();
  while (auto row = reader->next()) {
    std::vector<std::string> ordered(columns_.size());
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const auto at = ending_ == ".txt" ? have.end() : std::ranges::find(have, columns_[i].name);
      if (at != have.end()) {
        ordered[i] = (*row)[static_cast<std::size_t>(at - have.begin())];
      } else if (columns_[i].name == options_.text_column) {
        ordered[i] = row->front();
      }
    }
    existing_.push_back(std::move(ordered));
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
