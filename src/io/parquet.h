// Parquet files as streams of cells, and written whole: what stands behind RowReader and RowWriter.
// Arrow is seen in the .cpp files alone.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/files.h"
#include "io/table.h"

namespace longhand {

/// The rows of a Parquet file; memory is bounded by a batch of rows and a page of each column.
/// Whole and floating numbers become numbers; strings, and bools ("true", "false"), texts; a
/// struct, such as an image, its `path`; null an empty cell. Throws corrupt for what is no whole
/// Parquet file, invalid_argument for a column of another type. A broken page ends the rows: next()
/// throws corrupt once, and then gives nullopt.
class ParquetReader : public RowReader {
 public:
  /// `pictures`: the bytes of images are read too, for picture().
  explicit ParquetReader(const fs::path& path, bool pictures = false);
  ~ParquetReader() override;
  const std::vector<std::string>& columns() const override;
  std::optional<std::vector<std::string>> next() override;
  /// With the types that their cells have.
  const std::vector<Column>& typed_columns() const;
  std::optional<std::vector<Cell>> next_cells();
  /// The file's bytes that an image column has in the row that was read last; empty where there are
  /// none.
  std::string_view picture(std::size_t column) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Writes one Parquet file beside its place, and puts it there when it is whole. Types: text
/// string, whole int64, number float64, image struct<bytes: binary, path: string>; the schema's key
/// `huggingface` names the features. Memory is bounded by a row group. Throws unavailable when it
/// cannot be written, not_found for a missing picture.
class ParquetWriter {
 public:
  /// `folder`: what the pictures' paths are relative to.
  ParquetWriter(fs::path temporary, const std::vector<Column>& columns, fs::path folder);
  /// Removes the temporary file, unless it was put in its place.
  ~ParquetWriter();
  ParquetWriter(const ParquetWriter&) = delete;
  ParquetWriter& operator=(const ParquetWriter&) = delete;

  /// A cell of each column, of the column's type or empty.
  void append(const std::vector<Cell>& cells);
  std::int64_t rows() const { return rows_; }
  /// Of the cells and pictures so far, not compressed.
  std::int64_t bytes() const { return bytes_; }
  /// Writes what is buffered and the footer, and flushes the file to disk.
  void close();
  /// After close(): the name is the file's from now on, even when the machine stops.
  void put(const fs::path& target);

 private:
  struct State;
  void append_cell(std::size_t column, const Cell& cell);
  void write_group();

  fs::path temporary_, folder_;
  std::vector<Column> columns_;
  std::unique_ptr<State> state_;
  std::int64_t rows_ = 0, bytes_ = 0;
  std::int64_t group_rows_ = 0, group_bytes_ = 0;
};

}  // namespace longhand
