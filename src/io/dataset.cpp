#include "io/dataset.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "core/error.h"
#include "io/parquet.h"

namespace longhand {
namespace {

using nlohmann::json;
using Shards = std::vector<std::unique_ptr<ParquetWriter>>;

/// A journal's value as a cell of a column's type. Throws json::exception where it is of another
/// one.
Cell cell_of(const json& value, Column::Type type) {
  if (value.is_null()) {
    return {};
  }
  switch (type) {
    case Column::Type::whole:
      return value.get<std::int64_t>();
    case Column::Type::number:
      return value.get<double>();
    default:
      return value.is_string() ? value.get<std::string>() : value.dump();
  }
}

/// Calls `take` with the cells of each row.
template <class Take>
void read_journal(const fs::path& journal, const std::vector<Column>& columns, Take take) {
  std::ifstream stream(journal, std::ios::binary);
  std::string line;
  for (std::int64_t row = 1; std::getline(stream, line); ++row) {
    std::vector<Cell> cells;
    try {
      const json object = json::parse(line);
      for (const Column& column : columns) {
        const auto value = object.find(column.name);
        cells.push_back(value == object.end() ? Cell() : cell_of(*value, column.type));
      }
    } catch (const json::exception& error) {
      fail(Kind::corrupt, "{}, row {}: not a row of the columns' types ({})", journal.string(), row,
           error.what());
    }
    take(cells);
  }
}

/// Writes shards beside their places, whole; at least one, so that an empty table has its columns.
Shards write_shards(const std::string& temporary, const fs::path& journal,
                    const std::vector<Column>& columns, const fs::path& folder,
                    std::int64_t most_rows, std::int64_t most_bytes) {
  Shards shards;
  const auto begin = [&] {
    shards.push_back(std::make_unique<ParquetWriter>(
        fmt::format("{}-{:05}", temporary, shards.size()), columns, folder));
  };
  begin();
  read_journal(journal, columns, [&](const std::vector<Cell>& cells) {
    if (shards.back()->rows() >= most_rows || shards.back()->bytes() >= most_bytes) {
      shards.back()->close();
      begin();
    }
    shards.back()->append(cells);
  });
  shards.back()->close();
  return shards;
}

std::string dtype(Column::Type type) {
  switch (type) {
    case Column::Type::text:
      return "string";
    case Column::Type::whole:
      return "int64";
    case Column::Type::number:
      return "float64";
    case Column::Type::image:
      break;
  }
  return "image";
}

/// README.md: what Hugging Face's hub and datasets read of a folder, and the caller's text.
std::string card(const Shards& shards, const std::vector<Column>& columns,
                 std::uintmax_t file_bytes, const std::string& text) {
  std::int64_t rows = 0, bytes = 0;
  for (const auto& shard : shards) {
    rows += shard->rows();
    bytes += shard->bytes();
  }
  std::string yaml = "---\ndataset_info:\n  features:\n";
  for (const Column& column : columns) {  // a JSON string is a YAML string
    yaml +=
        fmt::format("  - name: {}\n    dtype: {}\n", json(column.name).dump(), dtype(column.type));
  }
  yaml += fmt::format("  splits:\n  - name: train\n    num_bytes: {}\n    num_examples: {}\n",
                      bytes, rows);
  yaml += fmt::format("  download_size: {}\n  dataset_size: {}\n", file_bytes, bytes);
  yaml +=
      "configs:\n- config_name: default\n  data_files:\n  - split: train\n    path: "
      "data/train-*\n---\n";
  return yaml + "\n" + text + (text.ends_with('\n') ? "" : "\n");
}

/// Shards of another count, and what a killed writer left.
void remove_others(const fs::path& data, const std::vector<fs::path>& kept) {
  static const std::regex ours(R"(train-\d{5}-of-\d{5}\.parquet|\.partial-\d{5})");
  std::vector<fs::path> others;
  for (const auto& entry : fs::directory_iterator(data)) {
    if (std::regex_match(entry.path().filename().string(), ours) &&
        std::ranges::find(kept, entry.path()) == kept.end()) {
      others.push_back(entry.path());
    }
  }
  for (const fs::path& other : others) {
    std::error_code code;
    fs::remove(other, code);
  }
}

}  // namespace

void write_parquet(const fs::path& path, const fs::path& journal,
                   const std::vector<Column>& columns) {
  constexpr auto no_limit = std::numeric_limits<std::int64_t>::max();
  write_shards(path.string() + ".partial", journal, columns, path.parent_path(), no_limit, no_limit)
      .front()
      ->put(path);
}

void write_dataset(const fs::path& folder, const fs::path& journal,
                   const std::vector<Column>& columns, const RowOptions& options) {
  const fs::path data = folder / "data";
  std::error_code code;
  fs::create_directories(data, code);
  const Shards shards = write_shards((data / ".partial").string(), journal, columns, folder,
                                     options.shard_rows, options.shard_bytes);
  std::vector<fs::path> files;
  std::uintmax_t file_bytes = 0;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    files.push_back(data / fmt::format("train-{:05}-of-{:05}.parquet", i, shards.size()));
    shards[i]->put(files.back());
    file_bytes += fs::file_size(files.back());
  }
  remove_others(data, files);
  write_file_atomically(folder / "README.md", card(shards, columns, file_bytes, options.card));
}

std::vector<fs::path> dataset_shards(const fs::path& folder) {
  static const std::regex shard(R"(train-\d{5}-of-(\d{5})\.parquet)");
  std::vector<fs::path> files;
  std::set<std::size_t> counts;  // as the names say
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(folder / "data", code)) {
    std::smatch match;
    const std::string name = entry.path().filename();
    if (std::regex_match(name, match, shard)) {
      files.push_back(entry.path());
      counts.insert(std::stoul(match[1]));
    }
  }
  if (!files.empty() && counts != std::set{files.size()}) {
    fail(Kind::corrupt,
         "{} has {} shards where their names say {}; fetch the folder again, or name another",
         (folder / "data").string(), files.size(), fmt::join(counts, " and "));
  }
  std::ranges::sort(files);
  return files;
}

std::string dataset_text(const fs::path& folder) {
  if (!fs::exists(folder / "README.md")) {
    return "";
  }
  const std::string text = read_file(folder / "README.md");
  const std::string end = "\n---\n\n";
  const std::size_t found = text.find(end);
  return found == std::string::npos ? text : text.substr(found + end.size());
}

DatasetReader::DatasetReader(std::vector<fs::path> files)
    : files_(std::move(files)), reader_(std::make_unique<ParquetReader>(files_.at(0), true)) {}

std::optional<std::vector<Cell>> DatasetReader::next() {
  auto cells = reader_->next_cells();
  while (!cells && at_ + 1 < files_.size()) {
    reader_ = std::make_unique<ParquetReader>(files_[++at_], true);
    cells = reader_->next_cells();
  }
  return cells;
}

void restore_picture(const fs::path& folder, const std::string& name, std::string_view bytes) {
  const fs::path path = fs::path(name).lexically_normal();
  if (!name.empty() && !bytes.empty() && path.is_relative() && *path.begin() != ".." &&
      !fs::exists(folder / path)) {
    write_file_atomically(folder / path, bytes);
  }
}

void restore_journal(const fs::path& journal, const std::vector<fs::path>& files,
                     const std::vector<Column>& columns, const fs::path& folder) {
  const fs::path temporary = fs::path(journal).replace_extension(".partial.jsonl");
  {
    RowWriter writer(temporary, columns, {.overwrite = true});
    DatasetReader reader(files);
    while (const auto cells = reader.next()) {
      std::vector<Cell> ordered;
      for (const Column& column : columns) {
        const auto at = static_cast<std::size_t>(
            std::ranges::find(reader.columns(), column.name, &Column::name) -
            reader.columns().begin());
        ordered.push_back(cells->at(at));
        if (column.type == Column::Type::image) {
          restore_picture(folder, cell_text(ordered.back()), reader.picture(at));
        }
      }
      writer.append(ordered);
    }
    writer.finish();
  }
  fs::rename(temporary, journal);
}

}  // namespace longhand
