// Rows of text from CSV, TSV, JSONL and TXT, and rows written so that a killed job goes on.
#pragma once

#include <cstdint>
#include <istream>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/files.h"

namespace longhand {

/// A stream of rows whose cells are UTF-8 text, in the order of columns(). The format is told by the
/// file's ending: .csv .tsv (RFC 4180) .jsonl .ndjson .txt. Memory is bounded by a row.
class RowReader {
 public:
  virtual ~RowReader() = default;
  virtual const std::vector<std::string>& columns() const = 0;
  /// The next row, or nullopt at the end. A broken row throws Error{corrupt} with file, row number and
  /// what was expected; calling next() again goes on with the row after it.
  virtual std::optional<std::vector<std::string>> next() = 0;

  /// Throws not_found, invalid_argument for an ending that is not known.
  static std::unique_ptr<RowReader> open(const fs::path& path);
  /// One prompt a line, from an open stream such as standard input. Column: "Prompt".
  static std::unique_ptr<RowReader> lines(std::istream& stream, const std::string& name);
};

/// The prompt column: `wanted` if not empty, else the first of Prompts, Prompt, prompt, prompts,
/// caption, text that is there. Throws not_found and lists the columns.
std::size_t prompt_column(const RowReader& reader, const std::string& wanted);

/// "drawbench", "parti", "geneval" → the project's own copy under data/prompts; anything else is a path.
fs::path resolve_prompts(const std::string& name_or_path);

using Cell = std::variant<std::monostate, std::int64_t, double, std::string>;

/// Appends rows to a .jsonl, .csv, .tsv or .txt file (.txt holds one column alone). Each append is one write of a
/// whole row; an unfinished last row, which a killed machine may leave, is dropped on opening.
class RowWriter {
 public:
  /// Goes on after the rows that are there, unless `overwrite`. `text_column`: what .txt holds. Throws
  /// invalid_argument when the file has other columns; unavailable when it cannot be written.
  RowWriter(const fs::path& path, std::vector<std::string> columns, const std::string& text_column,
            bool overwrite);
  ~RowWriter();
  RowWriter(const RowWriter&) = delete;
  RowWriter& operator=(const RowWriter&) = delete;

  /// Rows that were there when it was opened, as text: what a resumed job checks and skips.
  const std::vector<std::vector<std::string>>& existing() const { return existing_; }
  void append(const std::vector<Cell>& cells);

 private:
  void write(const std::string& bytes);
  void go_on(std::string text);

  fs::path path_;
  std::string ending_;
  std::vector<std::string> columns_;
  std::size_t text_column_ = 0;
  int file_ = -1;
  std::vector<std::vector<std::string>> existing_;
};

}  // namespace longhand
