#include "io/table.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <deque>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "io/dataset.h"
#include "io/delimited.h"
#include "io/parquet.h"
#include "io/webdataset.h"

namespace longhand {
namespace {

using nlohmann::json;
using Strings = std::vector<std::string>;

void skip_byte_order_mark(std::istream& stream) {
  for (const unsigned char byte : {0xef, 0xbb, 0xbf}) {
    if (stream.peek() != byte) {
      return;
    }
    stream.get();
  }
}

class DelimitedReader : public RowReader {
 public:
  DelimitedReader(const fs::path& path, char separator)
      : name_(path.string()), stream_(path, std::ios::binary), records_(stream_, name_, separator) {
    skip_byte_order_mark(stream_);
    auto header = records_.next();
    if (!header) {
      fail(Kind::corrupt, "{} is empty; expected a first row with the columns' names", name_);
    }
    columns_ = std::move(*header);
  }
  const Strings& columns() const override { return columns_; }
  std::optional<Strings> next() override {
    auto record = records_.next();
    if (record && record->size() != columns_.size()) {
      fail(Kind::corrupt, "{}, row {}: {} fields, expected {} ({})", name_, records_.number() - 1,
           record->size(), columns_.size(), fmt::join(columns_, ", "));
    }
    return record;
  }

 private:
  std::string name_;
  std::ifstream stream_;
  DelimitedRecords records_;
  Strings columns_;
};

std::string as_text(const json& value) {
  return value.is_string() ? value.get<std::string>() : value.is_null() ? "" : value.dump();
}

/// The first row's keys are the columns; later rows may lack some.
class JsonLinesReader : public RowReader {
 public:
  explicit JsonLinesReader(const fs::path& path)
      : name_(path.string()), stream_(path, std::ios::binary) {
    skip_byte_order_mark(stream_);
    while (!first_) {
      try {
        first_ = parse_next();
        if (!first_) {
          fail(Kind::corrupt, "{} is empty; expected a JSON object a line", name_);
        }
      } catch (const Error& error) {
        if (stream_.eof() || broken_.size() == 100) {
          throw;  // it is no JSONL
        }
        broken_.push_back(error);
      }
    }
    for (const auto& [key, value] : first_->items()) {
      columns_.push_back(key);
    }
  }
  const Strings& columns() const override { return columns_; }
  std::optional<Strings> next() override {
    if (!broken_.empty()) {
      const Error error = broken_.front();
      broken_.pop_front();
      throw error;
    }
    const std::optional<json> object = first_ ? std::exchange(first_, std::nullopt) : parse_next();
    if (!object) {
      return std::nullopt;
    }
    Strings row;
    for (const std::string& column : columns_) {
      row.push_back(object->contains(column) ? as_text((*object)[column]) : "");
    }
    return row;
  }

 private:
  std::optional<json> parse_next() {
    std::string line;
    while (std::getline(stream_, line)) {
      ++row_;
      if (line.find_first_not_of(" \t\r") == std::string::npos) {
        continue;
      }
      json object = json::parse(line, nullptr, false);
      if (!object.is_object()) {
        fail(Kind::corrupt, "{}, row {}: not a JSON object", name_, row_);
      }
      return object;
    }
    return std::nullopt;
  }

  std::string name_;
  std::ifstream stream_;
  std::int64_t row_ = 0;
  std::deque<Error> broken_;  // lines before the first whole one: next() tells of them
  std::optional<json> first_;
  Strings columns_;
};

class LinesReader : public RowReader {
 public:
  explicit LinesReader(std::istream& stream) : stream_(stream) {}
  explicit LinesReader(const fs::path& path) : own_(path, std::ios::binary), stream_(own_) {
    skip_byte_order_mark(stream_);
  }
  const Strings& columns() const override { return columns_; }
  std::optional<Strings> next() override {
    std::string line;
    while (std::getline(stream_, line)) {
      while (line.ends_with('\r') || line.ends_with(' ')) {
        line.pop_back();
      }
      if (!line.empty()) {
        return Strings{line};
      }
    }
    return std::nullopt;
  }

 private:
  std::ifstream own_;
  std::istream& stream_;
  Strings columns_ = {"Prompt"};
};

/// Files of one table, one after the other.
class ShardsReader : public RowReader {
 public:
  explicit ShardsReader(std::vector<fs::path> shards)
      : shards_(std::move(shards)), reader_(RowReader::open(shards_.front())) {
    columns_ = reader_->columns();
  }
  const Strings& columns() const override { return columns_; }
  std::optional<Strings> next() override {
    for (;;) {
      if (auto row = reader_->next()) {
        return row;
      }
      if (place_ + 1 == shards_.size()) {
        return std::nullopt;
      }
      auto shard = RowReader::open(shards_[++place_]);
      if (shard->columns() != columns_) {
        fail(Kind::corrupt, "{} has other columns than the shards before it",
             shards_[place_].string());
      }
      reader_ = std::move(shard);
    }
  }

 private:
  std::vector<fs::path> shards_;
  std::size_t place_ = 0;
  std::unique_ptr<RowReader> reader_;
  Strings columns_;
};

/// A WebDataset's shards, by name.
std::vector<fs::path> tar_files(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".tar") {
      files.push_back(entry.path());
    }
  }
  std::ranges::sort(files);
  return files;
}

std::unique_ptr<RowReader> open_folder(const fs::path& folder) {
  if (fs::is_regular_file(folder / "rows.jsonl")) {
    return RowReader::open(folder / "rows.jsonl");
  }
  auto shards = dataset_shards(folder);
  if (shards.empty()) {
    shards = tar_files(folder);
  }
  if (shards.empty()) {
    fail(
        Kind::not_found,
        "{} is no dataset: expected rows.jsonl, data/train-00000-of-00001.parquet or .tar files in "
        "it",
        folder.string());
  }
  return std::make_unique<ShardsReader>(std::move(shards));
}

}  // namespace

std::unique_ptr<RowReader> RowReader::open(const fs::path& path) {
  std::error_code code;
  if (fs::is_directory(path, code)) {
    return open_folder(path);
  }
  if (!fs::is_regular_file(path, code) || !std::ifstream(path)) {
    fail(Kind::not_found,
         "{} cannot be read; give a .csv, .tsv, .jsonl, .txt, .parquet or .tar file, or drawbench, "
         "parti or geneval",
         path.string());
  }
  const std::string ending = path.extension();
  if (ending == ".csv" || ending == ".tsv") {
    return std::make_unique<DelimitedReader>(path, ending == ".csv" ? ',' : '\t');
  }
  if (ending == ".jsonl" || ending == ".ndjson") {
    return std::make_unique<JsonLinesReader>(path);
  }
  if (ending == ".txt") {
    return std::make_unique<LinesReader>(path);
  }
  if (ending == ".parquet") {
    return std::make_unique<ParquetReader>(path);
  }
  if (ending == ".tar") {
    return open_webdataset(path);
  }
  fail(Kind::invalid_argument,
       "{}: the ending \"{}\" is not known; expected .csv, .tsv, .jsonl, .txt, .parquet or .tar",
       path.string(), ending);
}

std::unique_ptr<RowReader> RowReader::lines(std::istream& stream) {
  return std::make_unique<LinesReader>(stream);
}

std::size_t prompt_column(const RowReader& reader, const std::string& wanted) {
  const Strings& columns = reader.columns();
  const Strings usual = {"Prompts", "Prompt", "prompt", "prompts", "caption", "text", "txt"};
  for (const std::string& name : wanted.empty() ? usual : Strings{wanted}) {
    const auto found = std::ranges::find(columns, name);
    if (found != columns.end()) {
      return static_cast<std::size_t>(found - columns.begin());
    }
  }
  fail(Kind::not_found, "no prompt column{}; the columns are {}: say which with --column",
       wanted.empty() ? "" : " " + wanted, fmt::join(columns, ", "));
}

fs::path resolve_prompts(const std::string& name_or_path) {
  static constexpr std::array<std::pair<const char*, const char*>, 3> known = {
      {{"drawbench", "drawbench.csv"},
       {"parti", "parti_prompts.tsv"},
       {"geneval", "geneval.jsonl"}}};
  for (const auto& [name, file] : known) {
    if (name_or_path == name) {
      return home() / "data" / "prompts" / file;
    }
  }
  return name_or_path;
}

}  // namespace longhand
