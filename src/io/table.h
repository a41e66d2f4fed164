// Rows of text from CSV, TSV, JSONL, TXT and Parquet, and rows written so that a killed job goes on.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/files.h"

namespace longhand {

/// A stream of rows whose cells are UTF-8 text, in the order of columns(). The format is told by the
/// file's ending (.csv .tsv .jsonl .ndjson .txt .parquet). Memory is bounded by a row (a row group for Parquet).
class RowReader {
 public:
  virtual ~RowReader() = default;
  virtual const std::vector<std::string>& columns() const = 0;
  /// The next row, or nullopt at the end. A broken row throws Error{corrupt} with file, row number and
  /// what was expected; calling next() again goes on with the row after it.
  virtual std::optional<std::vector<std::string>> next() = 0;
  /// How many rows there are, or -1 where finding out would mean reading all of it.
  virtual std::int64_t size() const { return -1; }

  static std::unique_ptr<RowReader> open(const fs::path& path);
  /// One prompt a line, from an open stream such as standard input. Column: "Prompt".
  static std::unique_ptr<RowReader> lines(std::istream& stream, const std::string& name);
};

/// The prompt column: `wanted` if not empty (throws not_found and lists the columns), else the first of
/// Prompts, Prompt, prompt, prompts, caption, text that is there. Throws not_found.
std::size_t prompt_column(const RowReader& reader, const std::string& wanted);

/// "drawbench", "parti", "geneval" → the project's own copy under data/prompts; anything else is a path.
fs::path resolve_prompts(const std::string& name_or_path);

/// A cell: nothing, whole number, number, text, or a picture (PNG bytes by the path of its file).
struct ImageFile {
  fs::path path;
};
using Cell = std::variant<std::monostate, std::int64_t, double, std::string, ImageFile>;
enum class CellType { integer, number, text, image };
struct Column {
  std::string name;
  CellType type;
};

/// Appends rows to a file whose format is told by its ending (.txt: the column `text_column` alone; .csv .tsv
/// .jsonl .parquet), or to a folder in Hugging Face's dataset layout (no ending: data/*.parquet, README.md card).
/// Each append is one write, so what a kill leaves is whole rows; an unfinished last line is dropped
/// on opening. Parquet is rewritten whole (atomically) from a journal beside it, at the latest every few seconds of
/// appending and in finish(), so the file is readable at any moment.
/// Opening an existing file goes on after its rows; throws invalid_argument when its columns differ.
class RowWriter {
 public:
  virtual ~RowWriter() = default;
  /// Rows that were there when it was opened, as text, in order: what a resumed job checks and skips.
  virtual const std::vector<std::vector<std::string>>& existing() const = 0;
  virtual void append(const std::vector<Cell>& cells) = 0;
  /// Puts everything in its final place. Called once, at the end or on Ctrl-C.
  virtual void finish() = 0;

  struct Options {
    std::string text_column;       // for .txt
    std::string card;              // README.md of a dataset folder
    bool overwrite = false;        // start anew
  };
  static std::unique_ptr<RowWriter> open(const fs::path& path, const std::vector<Column>& columns,
                                         const Options& options);
};

}  // namespace longhand
