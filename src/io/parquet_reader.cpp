#include <arrow/array.h>
#include <arrow/io/file.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/exception.h>
#include <parquet/properties.h>

#include <algorithm>
#include <cstdlib>

#include "core/error.h"
#include "io/parquet.h"

namespace longhand {
namespace {

constexpr std::int64_t batch_rows = 1000, batch_rows_with_pictures = 16;

void check(const arrow::Status& status, const std::string& name) {
  if (!status.ok()) {
    std::string reason = status.message();
    std::ranges::replace(reason, '\n', ' ');
    fail(status.IsOutOfMemory() ? Kind::out_of_memory : Kind::corrupt,
         "{} is not a whole Parquet file: {}; fetch or write it again", name, reason);
  }
}

/// What `call` gives; Arrow's errors become the project's.
template <class Call>
auto read(const std::string& name, Call call) {
  try {
    auto result = call();
    check(result.status(), name);
    return std::move(result).ValueUnsafe();
  } catch (const parquet::ParquetException& error) {
    check(arrow::Status::IOError(error.what()), name);
    throw;
  }
}

bool is_readable(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::NA:
    case arrow::Type::BOOL:
    case arrow::Type::FLOAT:
    case arrow::Type::DOUBLE:
    case arrow::Type::STRING:
    case arrow::Type::LARGE_STRING:
    case arrow::Type::STRING_VIEW:
    case arrow::Type::STRUCT:
      return true;
    case arrow::Type::DICTIONARY:
      return is_readable(*static_cast<const arrow::DictionaryType&>(type).value_type());
    default:
      return arrow::is_integer(type.id());
  }
}

Column::Type column_type(const arrow::DataType& type) {
  return arrow::is_integer(type.id())       ? Column::Type::whole
         : arrow::is_floating(type.id())    ? Column::Type::number
         : type.id() == arrow::Type::STRUCT ? Column::Type::image
                                            : Column::Type::text;
}

template <class Array>
auto value(const arrow::Array& array, std::int64_t row) {
  return static_cast<const Array&>(array).Value(row);
}

template <class Array>
Cell text(const arrow::Array& array, std::int64_t row) {
  return std::string(static_cast<const Array&>(array).GetView(row));
}

template <class Array>
Cell whole(const arrow::Array& array, std::int64_t row) {
  return static_cast<std::int64_t>(value<Array>(array, row));
}

/// Whole numbers over 63 bits have no cell of their own: they are texts.
Cell large_whole(std::uint64_t number) {
  return number >> 63 ? Cell(std::to_string(number)) : Cell(static_cast<std::int64_t>(number));
}

/// The double that is written with as many digits as the float: 0.1, not 0.10000000149011612.
Cell short_number(float number) { return std::strtod(fmt::format("{}", number).c_str(), nullptr); }

/// A field of a struct in one row; nullptr where the struct has none.
std::shared_ptr<arrow::Array> field_of(const arrow::Array& array, const char* name) {
  return static_cast<const arrow::StructArray&>(array).GetFieldByName(name);
}

Cell cell_of(const arrow::Array& array, std::int64_t row) {
  if (array.IsNull(row)) {
    return {};
  }
  switch (array.type_id()) {
    case arrow::Type::BOOL:
      return value<arrow::BooleanArray>(array, row) ? "true" : "false";
    case arrow::Type::INT8:
      return whole<arrow::Int8Array>(array, row);
    case arrow::Type::INT16:
      return whole<arrow::Int16Array>(array, row);
    case arrow::Type::INT32:
      return whole<arrow::Int32Array>(array, row);
    case arrow::Type::INT64:
      return whole<arrow::Int64Array>(array, row);
    case arrow::Type::UINT8:
      return whole<arrow::UInt8Array>(array, row);
    case arrow::Type::UINT16:
      return whole<arrow::UInt16Array>(array, row);
    case arrow::Type::UINT32:
      return whole<arrow::UInt32Array>(array, row);
    case arrow::Type::UINT64:
      return large_whole(value<arrow::UInt64Array>(array, row));
    case arrow::Type::FLOAT:
      return short_number(value<arrow::FloatArray>(array, row));
    case arrow::Type::DOUBLE:
      return value<arrow::DoubleArray>(array, row);
    case arrow::Type::STRING:
      return text<arrow::StringArray>(array, row);
    case arrow::Type::LARGE_STRING:
      return text<arrow::LargeStringArray>(array, row);
    case arrow::Type::STRING_VIEW:
      return text<arrow::StringViewArray>(array, row);
    case arrow::Type::DICTIONARY: {
      const auto& entries = static_cast<const arrow::DictionaryArray&>(array);
      return cell_of(*entries.dictionary(), entries.GetValueIndex(row));
    }
    case arrow::Type::STRUCT: {
      const auto path = field_of(array, "path");
      return path == nullptr ? Cell() : cell_of(*path, row);
    }
    default:
      return {};
  }
}

std::unique_ptr<parquet::arrow::FileReader> open_file(const fs::path& path, bool pictures) {
  const std::string name = path.string();
  const auto file = read(name, [&] { return arrow::io::ReadableFile::Open(name); });
  parquet::ReaderProperties properties = parquet::default_reader_properties();
  properties.enable_buffered_stream();
  properties.set_page_checksum_verification(true);
  parquet::ArrowReaderProperties arrow_properties(/*use_threads=*/false);
  arrow_properties.set_pre_buffer(false);
  arrow_properties.set_batch_size(pictures ? batch_rows_with_pictures : batch_rows);
  return read(name, [&]() -> arrow::Result<std::unique_ptr<parquet::arrow::FileReader>> {
    parquet::arrow::FileReaderBuilder builder;
    ARROW_RETURN_NOT_OK(builder.Open(file, properties));
    return builder.properties(arrow_properties)->Build();
  });
}

}  // namespace

struct ParquetReader::State {
  std::string name;
  std::vector<std::string> columns;
  std::vector<Column> typed;
  std::vector<int>
      places;  // of each column among those that are read; -1 for a struct without a path
  std::unique_ptr<parquet::arrow::FileReader> file;
  std::unique_ptr<arrow::RecordBatchReader> batches;
  std::shared_ptr<arrow::RecordBatch> batch;
  std::int64_t row = -1;
  bool ended = false;
  int places_read = 0;

  /// Names a column, and appends the leaves of it that are read. Of images it is the path alone,
  /// since pictures are large.
  void add(const parquet::arrow::SchemaField& column, bool pictures, std::vector<int>& leaves) {
    const arrow::Field& field = *column.field;
    if (!is_readable(*field.type())) {
      fail(Kind::invalid_argument,
           "{}: the column {} is of type {}; expected texts, numbers, bools or images: leave it "
           "out of the file",
           name, field.name(), field.type()->ToString());
    }
    const std::size_t before = leaves.size();
    if (column.is_leaf()) {
      leaves.push_back(column.column_index);
    }
    for (const auto& part : column.children) {
      const std::string& part_name = part.field->name();
      if (part.is_leaf() && is_readable(*part.field->type()) && part_name == "path") {
        leaves.push_back(part.column_index);
      } else if (part.is_leaf() && pictures && part_name == "bytes") {
        leaves.push_back(part.column_index);
      }
    }
    places.push_back(leaves.size() == before ? -1 : places_read++);
    columns.push_back(field.name());
    typed.push_back({field.name(), column_type(*field.type())});
  }

  bool advance() {
    ++row;
    while (!ended && (batch == nullptr || row >= batch->num_rows())) {
      ended = true;  // after an error no more is read
      batch = read(name, [&] { return batches->Next(); });
      ended = batch == nullptr;
      row = 0;
    }
    return !ended;
  }
};

ParquetReader::ParquetReader(const fs::path& path, bool pictures)
    : state_(std::make_unique<State>()) {
  State& state = *state_;
  state.name = path.string();
  state.file = open_file(path, pictures);
  std::vector<int> leaves, groups(static_cast<std::size_t>(state.file->num_row_groups()));
  for (const auto& column : state.file->manifest().schema_fields) {
    state.add(column, pictures, leaves);
  }
  for (std::size_t i = 0; i < groups.size(); ++i) {
    groups[i] = static_cast<int>(i);
  }
  state.batches =
      read(state.name, [&] { return state.file->GetRecordBatchReader(groups, leaves); });
}

ParquetReader::~ParquetReader() = default;

const std::vector<Column>& ParquetReader::typed_columns() const { return state_->typed; }

const std::vector<std::string>& ParquetReader::columns() const { return state_->columns; }

std::optional<std::vector<Cell>> ParquetReader::next_cells() {
  if (!state_->advance()) {
    return std::nullopt;
  }
  std::vector<Cell> cells;
  for (const int place : state_->places) {
    cells.push_back(place < 0 ? Cell() : cell_of(*state_->batch->column(place), state_->row));
  }
  return cells;
}

std::optional<std::vector<std::string>> ParquetReader::next() {
  const auto cells = next_cells();
  if (!cells) {
    return std::nullopt;
  }
  std::vector<std::string> row;
  for (const Cell& cell : *cells) {
    row.push_back(cell_text(cell));
  }
  return row;
}

std::string_view ParquetReader::picture(std::size_t column) const {
  const int place = state_->places.at(column);
  const auto array = place < 0 ? nullptr : state_->batch->column(place);
  if (array == nullptr || array->type_id() != arrow::Type::STRUCT || array->IsNull(state_->row)) {
    return {};
  }
  const auto bytes = field_of(*array, "bytes");
  if (bytes == nullptr || bytes->type_id() != arrow::Type::BINARY || bytes->IsNull(state_->row)) {
    return {};
  }
  return static_cast<const arrow::BinaryArray&>(*bytes).GetView(state_->row);
}

}  // namespace longhand
