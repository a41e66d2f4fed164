#include <arrow/array.h>
#include <arrow/array/builder_binary.h>
#include <arrow/array/builder_nested.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/io/file.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>
#include <parquet/arrow/writer.h>
#include <parquet/exception.h>
#include <parquet/properties.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/durable.h"
#include "core/error.h"
#include "io/parquet.h"

namespace longhand {
namespace {

constexpr std::int64_t group_rows = 10000, group_rows_with_pictures = 100;
constexpr std::int64_t group_bytes = 64 << 20;

void check(const arrow::Status& status, const fs::path& path) {
  if (!status.ok()) {
    fail(status.IsOutOfMemory() ? Kind::out_of_memory : Kind::unavailable,
         "{} cannot be written: {}", path.string(), status.message());
  }
}

template <class Value>
Value checked(arrow::Result<Value> result, const fs::path& path) {
  check(result.status(), path);
  return std::move(result).ValueUnsafe();
}

std::shared_ptr<arrow::DataType> type_of(Column::Type type) {
  switch (type) {
    case Column::Type::text:
      return arrow::utf8();
    case Column::Type::whole:
      return arrow::int64();
    case Column::Type::number:
      return arrow::float64();
    case Column::Type::image:
      break;
  }
  return arrow::struct_(
      {arrow::field("bytes", arrow::binary()), arrow::field("path", arrow::utf8())});
}

/// The features as Hugging Face's datasets reads them from the schema's metadata.
std::string features(const std::vector<Column>& columns) {
  nlohmann::ordered_json features = nlohmann::ordered_json::object();
  for (const Column& column : columns) {
    if (column.type == Column::Type::image) {
      features[column.name] = {{"_type", "Image"}};
    } else {
      const auto* dtype = column.type == Column::Type::text    ? "string"
                          : column.type == Column::Type::whole ? "int64"
                                                               : "float64";
      features[column.name] = {{"dtype", dtype}, {"_type", "Value"}};
    }
  }
  return nlohmann::ordered_json{{"info", {{"features", features}}}}.dump();
}

std::shared_ptr<arrow::Schema> schema_of(const std::vector<Column>& columns) {
  arrow::FieldVector fields;
  for (const Column& column : columns) {
    fields.push_back(arrow::field(column.name, type_of(column.type)));
  }
  return arrow::schema(fields, arrow::key_value_metadata({{"huggingface", features(columns)}}));
}

/// Pictures are compressed already: nothing is gained by packing their bytes or keeping the least
/// of them.
std::shared_ptr<parquet::WriterProperties> properties_of(const std::vector<Column>& columns) {
  parquet::WriterProperties::Builder builder;
  builder.compression(parquet::Compression::ZSTD)->enable_page_checksum();
  for (const Column& column : columns) {
    if (column.type == Column::Type::image) {
      const auto bytes = std::make_shared<parquet::schema::ColumnPath>(
          std::vector<std::string>{column.name, "bytes"});
      builder.compression(bytes, parquet::Compression::UNCOMPRESSED)
          ->disable_dictionary(bytes)
          ->disable_statistics(bytes);
    }
  }
  return builder.build();
}

bool has_pictures(const std::vector<Column>& columns) {
  return std::ranges::any_of(
      columns, [](const Column& column) { return column.type == Column::Type::image; });
}

template <class Value, class Builder>
arrow::Status append_to(Builder* builder, const Cell& cell) {
  const auto* value = std::get_if<Value>(&cell);
  return value == nullptr ? builder->AppendNull() : builder->Append(*value);
}

arrow::Status append_picture(arrow::StructBuilder* builder, const std::string& bytes,
                             const std::string& path) {
  ARROW_RETURN_NOT_OK(builder->Append());
  ARROW_RETURN_NOT_OK(static_cast<arrow::BinaryBuilder*>(builder->field_builder(0))->Append(bytes));
  return static_cast<arrow::StringBuilder*>(builder->field_builder(1))->Append(path);
}

}  // namespace

struct ParquetWriter::State {
  std::shared_ptr<arrow::Schema> schema;
  std::vector<std::unique_ptr<arrow::ArrayBuilder>> builders;
  std::shared_ptr<arrow::io::FileOutputStream> stream;
  std::unique_ptr<parquet::arrow::FileWriter> file;
};

ParquetWriter::ParquetWriter(fs::path temporary, const std::vector<Column>& columns,
                             fs::path folder)
    : temporary_(std::move(temporary)),
      folder_(std::move(folder)),
      columns_(columns),
      state_(std::make_unique<State>()) {
  State& state = *state_;
  state.schema = schema_of(columns_);
  for (const auto& field : state.schema->fields()) {
    state.builders.push_back(checked(arrow::MakeBuilder(field->type()), temporary_));
  }
  state.stream = checked(arrow::io::FileOutputStream::Open(temporary_.string()), temporary_);
  const auto arrow_properties = parquet::ArrowWriterProperties::Builder().store_schema()->build();
  state.file = checked(
      parquet::arrow::FileWriter::Open(*state.schema, arrow::default_memory_pool(), state.stream,
                                       properties_of(columns_), arrow_properties),
      temporary_);
}

ParquetWriter::~ParquetWriter() {
  state_.reset();
  if (!temporary_.empty()) {
    ::unlink(temporary_.c_str());
  }
}

void ParquetWriter::append(const std::vector<Cell>& cells) {
  const std::int64_t before = bytes_;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    append_cell(i, cells.at(i));
  }
  ++rows_;
  ++group_rows_;
  group_bytes_ += bytes_ - before;
  if (group_rows_ >= (has_pictures(columns_) ? group_rows_with_pictures : group_rows) ||
      group_bytes_ >= group_bytes) {
    write_group();
  }
}

void ParquetWriter::append_cell(std::size_t column, const Cell& cell) {
  arrow::ArrayBuilder* builder = state_->builders[column].get();
  const auto* text = std::get_if<std::string>(&cell);
  bytes_ += text == nullptr ? std::int64_t{8} : std::ssize(*text);
  switch (columns_[column].type) {
    case Column::Type::text:
      return check(append_to<std::string>(static_cast<arrow::StringBuilder*>(builder), cell),
                   temporary_);
    case Column::Type::whole:
      return check(append_to<std::int64_t>(static_cast<arrow::Int64Builder*>(builder), cell),
                   temporary_);
    case Column::Type::number:
      return check(append_to<double>(static_cast<arrow::DoubleBuilder*>(builder), cell),
                   temporary_);
    case Column::Type::image:
      break;
  }
  if (text == nullptr || text->empty()) {
    return check(builder->AppendNull(), temporary_);
  }
  const std::string bytes = read_file(folder_ / *text);
  bytes_ += std::ssize(bytes);
  check(append_picture(static_cast<arrow::StructBuilder*>(builder), bytes, *text), temporary_);
}

void ParquetWriter::write_group() {
  arrow::ArrayVector arrays;
  for (const auto& builder : state_->builders) {
    arrays.push_back(checked(builder->Finish(), temporary_));
  }
  const auto table = arrow::Table::Make(state_->schema, arrays, group_rows_);
  check(state_->file->WriteTable(*table, std::max<std::int64_t>(group_rows_, 1)), temporary_);
  group_rows_ = group_bytes_ = 0;
}

void ParquetWriter::close() {
  if (group_rows_ > 0) {
    write_group();
  }
  check(state_->file->Close(), temporary_);
  check(state_->stream->Close(), temporary_);
  state_.reset();
}

void ParquetWriter::put(const fs::path& target) {
  put_in_place(temporary_, target);
  temporary_.clear();
}

}  // namespace longhand
