// A journal of rows as Parquet: one file, or a folder in Hugging Face's dataset layout; and the way
// back.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/files.h"
#include "io/parquet.h"
#include "io/table.h"

namespace longhand {

/// The rows of a journal (.jsonl) as one Parquet file, in bounded memory; readers see the old file
/// or the new one. Pictures' paths are relative to the file's folder. Throws unavailable, not_found
/// for a picture, and corrupt for a journal's row that is not of the columns.
void write_parquet(const fs::path& path, const fs::path& journal,
                   const std::vector<Column>& columns);

/// The rows of a journal as data/train-00000-of-00001.parquet … and README.md; shards of an older
/// count are removed.
void write_dataset(const fs::path& folder, const fs::path& journal,
                   const std::vector<Column>& columns, const RowOptions& options);

/// The shards of a dataset folder, in order; none where nothing was finished. Throws corrupt where
/// some are missing.
std::vector<fs::path> dataset_shards(const fs::path& folder);

/// The text of a dataset folder's README.md, without what the hub reads of it; "" without one.
std::string dataset_text(const fs::path& folder);

/// The rows of several Parquet files of the same columns, as one table, with their pictures' bytes.
class DatasetReader {
 public:
  /// At least one file. Throws as ParquetReader does.
  explicit DatasetReader(std::vector<fs::path> files);
  /// Those of the file that was read last.
  const std::vector<Column>& columns() const { return reader_->typed_columns(); }
  std::optional<std::vector<Cell>> next();
  /// Of the row that next() gave.
  std::string_view picture(std::size_t column) const { return reader_->picture(column); }

 private:
  std::vector<fs::path> files_;
  std::size_t at_ = 0;
  std::unique_ptr<ParquetReader> reader_;
};

/// A picture's file from its bytes, where it is missing and its place is within the folder.
void restore_picture(const fs::path& folder, const std::string& name, std::string_view bytes);

/// Writes the journal of the rows of Parquet files that have the columns, whole or not at all;
/// pictures that are missing in `folder` are written from their bytes.
void restore_journal(const fs::path& journal, const std::vector<fs::path>& files,
                     const std::vector<Column>& columns, const fs::path& folder);

}  // namespace longhand
