// Rows of text from CSV, TSV, JSONL, TXT, Parquet and WebDataset, and rows written so that a killed
// job goes on.
#pragma once

#include <cstdint>
#include <functional>
#include <istream>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/files.h"

namespace longhand {

/// A stream of rows whose cells are UTF-8 text, in the order of columns(). The format is told by
/// the file's ending: .csv .tsv (RFC 4180) .jsonl .ndjson .txt .parquet .tar (io/webdataset.h); of
/// a folder that RowWriter wrote the journal is read, or where it is gone the shards; of a folder
/// of .tar files all of them. Memory is bounded by a row; of Parquet by a batch of rows. There null
/// is
/// "", and an image (any struct) its `path`.
class RowReader {
 public:
  virtual ~RowReader() = default;
  virtual const std::vector<std::string>& columns() const = 0;
  /// The next row, or nullopt at the end. A broken row throws Error{corrupt} with file, row number
  /// and what was expected; calling next() again goes on with the row after it (a broken Parquet
  /// file ends there).
  virtual std::optional<std::vector<std::string>> next() = 0;

  /// Throws not_found; corrupt for what is no whole Parquet file; invalid_argument for an ending
  /// that is not known or a Parquet column that is not of texts, numbers, bools or images.
  static std::unique_ptr<RowReader> open(const fs::path& path);
  /// One prompt a line, from an open stream such as standard input. Column: "Prompt".
  static std::unique_ptr<RowReader> lines(std::istream& stream);
};

/// The prompt column: `wanted` if not empty, else the first of Prompts, Prompt, prompt, prompts,
/// caption, text, txt that is there. Throws not_found and lists the columns.
std::size_t prompt_column(const RowReader& reader, const std::string& wanted);

/// "drawbench", "parti", "geneval" → the project's own copy under data/prompts; anything else is a
/// path.
fs::path resolve_prompts(const std::string& name_or_path);

using Cell = std::variant<std::monostate, std::int64_t, double, std::string>;

/// As CSV has it: "" for an empty cell, the shortest digits of a number.
std::string cell_text(const Cell& cell);

/// `image`: the cell is the path of a picture's file, relative to the folder of the table; Parquet
/// holds its bytes.
struct Column {
  enum class Type { text, whole, number, image };
  std::string name;
  Type type = Type::text;
};

struct RowOptions {
  std::string text_column = {};  // what .txt holds, and a WebDataset's KEY.txt
  bool overwrite = false;        // begin anew, whatever is there
  std::string card = {};         // the text of a dataset folder's README.md
  std::int64_t shard_rows = 10000;
  std::int64_t shard_bytes = 400 << 20;
};

/// Appends rows to a table; its path tells the format:
///   .jsonl .csv .tsv .txt   the file itself (.txt holds one column alone)
///   .parquet                one Parquet file, once finish() is called
///   .tar                    WebDataset, once finish() is called
///   no ending, or a folder  Hugging Face's layout, once finish() is called:
///   data/train-00000-of-00001.parquet …,
///                           and README.md with the features and splits
/// Each append is one write of a whole row; an unfinished last row, which a killed machine may
/// leave, is dropped on opening. Parquet and tar files cannot be appended to: their rows go to a
/// journal, NAME.parquet.rows.jsonl, or rows.jsonl in a folder, which is a table by itself. The
/// journal of a single file is removed by finish(), and made again from the file (and pictures that
/// are missing from their bytes) when it is opened to go on; a folder's journal stays. Killed at
/// any moment and opened again, no row is lost or doubled, and a Parquet or tar file that is there
/// is whole.
class RowWriter {
 public:
  /// Goes on after the rows that are there, unless `overwrite`. Throws invalid_argument when the
  /// file has other columns, or the folder a README.md and no rows; corrupt when Parquet to go on
  /// from is broken; unavailable when it cannot be written.
  RowWriter(const fs::path& path, std::vector<Column> columns, RowOptions options = {});

  /// How many rows were there when it was opened: what a resumed job skips.
  std::int64_t before() const { return before_; }
  /// Those rows, their cells in the order of the writer's columns ("" where .txt lacks them): what
  /// a resumed job checks. Read from the file again, so that a million need no memory; not to be
  /// called after finish().
  std::unique_ptr<RowReader> existing() const;
  /// Throws invalid_argument for the first of them for which `same(number from 0, cells)` does not
  /// hold: it is of another run, in which some of `what` (as "prompt, seed") differ.
  void check_existing(
      const std::string& what,
      const std::function<bool(std::int64_t, const std::vector<std::string>&)>& same) const;
  void append(const std::vector<Cell>& cells);
  /// Flushes the rows to disk and writes the Parquet of all of them, in bounded memory. To be
  /// called once, when the rows are in or the job stops early: no append after it. Throws
  /// unavailable when it cannot be written, not_found for a missing picture; the rows are kept
  /// then, and what Parquet was there.
  void finish();

 private:
  enum class Form { rows, parquet, tar, folder };
  /// Closes itself, also where the constructor throws.
  struct File {
    File() = default;
    ~File();
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    int descriptor = -1;
  };

  static Form form_of(const fs::path& path);
  static fs::path journal_of(const fs::path& path);
  void restore();
  bool begun_by_us() const;
  void go_on();
  void begin();
  void check_columns(std::vector<std::string> have, const fs::path& path) const;
  void write(const std::string& bytes);

  Form form_;
  fs::path path_;  // of the table
  fs::path rows_;  // of the file that rows are appended to: the table itself, or a journal
  std::string ending_;
  std::vector<Column> columns_;
  RowOptions options_;
  File file_;
  std::int64_t before_ = 0;
};

}  // namespace longhand
