#include "io/merge.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "core/durable.h"
#include "core/error.h"
#include "core/interrupt.h"
#include "io/dataset.h"
#include "io/parquet.h"
#include "io/table.h"
#include "io/webdataset.h"

namespace longhand {
namespace {

/// Columns that say how a job was run: the same in all its shards.
constexpr std::array settings = {"Seed",       "Model",    "Template", "Kind",
                                 "model_name", "Settings", "LLM",      "Prompt template"};

/// Rows one by one, whatever a row is.
template <class Row>
using Source = std::function<std::optional<Row>()>;

/// Takes a row of each in turn, until they end as shards of one job end: first some shard, and then
/// all at once.
template <class Row>
std::int64_t interleave(const std::vector<Source<Row>>& sources,
                        const std::vector<fs::path>& shards,
                        const std::function<void(Row)>& write) {
  std::int64_t rows = 0;
  std::optional<std::size_t> ended;
  for (bool more = true; more;) {
    throw_if_interrupted();
    for (std::size_t i = 0; i < sources.size(); ++i) {
      std::optional<Row> row = sources[i]();
      if (row && ended) {
        fail(Kind::corrupt,
             "{} has more rows than {}: a shard is not finished, is missing, or they are not in "
             "their order (0/n to n-1/n)",
             shards[i].string(), shards[*ended].string());
      }
      if (row) {
        write(std::move(*row));
        ++rows;
      } else if (!ended) {
        ended = i;
        more = false;
      }
    }
  }
  for (std::size_t i = 0; i < sources.size(); ++i) {
    if (sources[i]()) {
      fail(Kind::corrupt, "{} has more rows than {}: a shard is not finished, or is missing",
           shards[i].string(), shards[*ended].string());
    }
  }
  return rows;
}

/// Refuses a file of lines whose last one was cut off.
void check_finished(const fs::path& shard) {
  std::ifstream file(shard, std::ios::binary | std::ios::ate);
  if (file.tellg() > 0 && file.seekg(-1, std::ios::end).get() != '\n') {
    fail(Kind::corrupt, "{} ends within a row: run its command again until it is finished",
         shard.string());
  }
}

/// A job may have had fewer rows than shards.
bool has_rows(const fs::path& shard) {
  if (shard.extension() == ".tar") {
    return SampleReader(shard, true).next().has_value();
  }
  const fs::path rows = fs::is_directory(shard) ? shard / "rows.jsonl" : shard;
  return !fs::is_regular_file(rows) || fs::file_size(rows) > 0;
}

/// Refuses shards whose first rows tell of other jobs.
void check_same_job(std::vector<fs::path> shards) {
  std::erase_if(shards, [](const fs::path& shard) { return !has_rows(shard); });
  if (shards.empty()) {
    return;
  }
  const auto first = RowReader::open(shards.front());
  const auto row = first->next();
  for (std::size_t i = 1; i < shards.size(); ++i) {
    const auto other = RowReader::open(shards[i]);
    if (other->columns() != first->columns()) {
      fail(Kind::invalid_argument, "{} has the columns {}, and {} {}: they are not of one job",
           shards[i].string(), fmt::join(other->columns(), ", "), shards.front().string(),
           fmt::join(first->columns(), ", "));
    }
    const auto own = other->next();
    for (std::size_t at = 0; row && own && at < first->columns().size(); ++at) {
      const std::string& name = first->columns()[at];
      if (std::ranges::find(settings, name) != settings.end() && (*own)[at] != (*row)[at]) {
        fail(Kind::invalid_argument, "{} has the {} \"{}\", and {} \"{}\": they are not of one job",
             shards[i].string(), name, (*own)[at], shards.front().string(), (*row)[at]);
      }
    }
  }
}

/// JSONL and TXT: lines as they are.
std::int64_t merge_lines(const std::vector<fs::path>& shards, const fs::path& out) {
  std::vector<std::unique_ptr<std::ifstream>> files;
  std::vector<Source<std::string>> sources;
  for (const fs::path& shard : shards) {
    std::ifstream* file =
        files.emplace_back(std::make_unique<std::ifstream>(shard, std::ios::binary)).get();
    if (!*file) {
      fail(Kind::unavailable, "cannot read {}: {}", shard.string(), std::strerror(errno));
    }
    sources.emplace_back([file]() -> std::optional<std::string> {
      std::string line;
      return std::getline(*file, line) ? std::optional(line) : std::nullopt;
    });
  }
  std::ofstream to(out, std::ios::binary);
  const std::int64_t rows = interleave<std::string>(
      sources, shards, [&](const std::string& line) { to << line << '\n'; });
  to.close();
  if (!to) {
    fail(Kind::unavailable, "{} cannot be written", out.string());
  }
  return rows;
}

std::int64_t merge_delimited(const std::vector<fs::path>& shards, const fs::path& out) {
  std::vector<std::unique_ptr<RowReader>> readers;
  std::vector<Source<std::vector<std::string>>> sources;
  for (const fs::path& shard : shards) {
    RowReader* reader = readers.emplace_back(RowReader::open(shard)).get();
    sources.emplace_back([reader] { return reader->next(); });
  }
  std::vector<Column> columns;
  for (const std::string& name : readers.front()->columns()) {
    columns.push_back({name});
  }
  RowWriter writer(out, columns, {.overwrite = true});
  const std::int64_t rows = interleave<std::vector<std::string>>(
      sources, shards,
      [&](const std::vector<std::string>& row) { writer.append({row.begin(), row.end()}); });
  writer.finish();
  return rows;
}

std::int64_t merge_parquet(const std::vector<fs::path>& shards, const fs::path& out) {
  std::vector<std::unique_ptr<ParquetReader>> readers;
  std::vector<Source<std::vector<Cell>>> sources;
  for (const fs::path& shard : shards) {
    ParquetReader* reader = readers.emplace_back(std::make_unique<ParquetReader>(shard)).get();
    sources.emplace_back([reader] { return reader->next_cells(); });
  }
  const std::vector<Column>& columns = readers.front()->typed_columns();
  if (std::ranges::find(columns, Column::Type::image, &Column::type) != columns.end()) {
    fail(Kind::invalid_argument,
         "{} has pictures in it; merge folders (--out without an ending), or leave such shards as "
         "they are: Hugging Face's `datasets` reads several Parquet files as one",
         shards.front().string());
  }
  RowWriter writer(out, columns, {.overwrite = true});
  const std::int64_t rows = interleave<std::vector<Cell>>(
      sources, shards, [&](const std::vector<Cell>& row) { writer.append(row); });
  writer.finish();
  return rows;
}

/// A picture's path in the whole: the number that its name begins with is the row's.
std::string renumbered(const fs::path& picture, std::int64_t row) {
  const std::string name = picture.filename();
  const std::size_t digits = std::min(name.find_first_not_of("0123456789"), name.size());
  const std::string rest = digits > 0 ? name.substr(digits) : "-" + name;
  const bool outside = picture.is_absolute() || *picture.begin() == "..";
  return (outside ? "images" : picture.parent_path()) /
         fmt::format("{:0{}}{}", row, std::max<std::size_t>(digits, 5), rest);
}

/// Folders in Hugging Face's layout; pictures come out of the Parquet, under the whole's numbers.
std::int64_t merge_folders(const std::vector<fs::path>& shards, const fs::path& out) {
  struct Row {
    std::vector<Cell> cells;
    const DatasetReader* pictures;
  };
  std::vector<std::unique_ptr<DatasetReader>> readers;
  std::vector<Source<Row>> sources;
  for (const fs::path& shard : shards) {
    const auto files = dataset_shards(shard);
    if (files.empty()) {
      fail(Kind::corrupt, "{} has no data/*.parquet: run its command again until it is finished",
           shard.string());
    }
    DatasetReader* reader = readers.emplace_back(std::make_unique<DatasetReader>(files)).get();
    sources.emplace_back([reader]() -> std::optional<Row> {
      auto cells = reader->next();
      return cells ? std::optional(Row{std::move(*cells), reader}) : std::nullopt;
    });
  }
  const std::vector<Column> columns = readers.front()->columns();
  RowWriter writer(out, columns, {.card = dataset_text(shards.front())});
  std::int64_t number = 0;
  const std::int64_t rows = interleave<Row>(sources, shards, [&](Row row) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (const std::string name = cell_text(row.cells[i]);
          columns[i].type == Column::Type::image && !name.empty()) {
        row.cells[i] = renumbered(name, number);
        restore_picture(out, cell_text(row.cells[i]), row.pictures->picture(i));
      }
    }
    writer.append(row.cells);
    ++number;
  });
  writer.finish();
  return rows;
}

/// WebDataset: samples as they are, under the whole's keys.
std::int64_t merge_tars(const std::vector<fs::path>& shards, const fs::path& out) {
  using Sample = SampleReader::Sample;
  std::vector<std::unique_ptr<SampleReader>> readers;
  std::vector<Source<Sample>> sources;
  for (const fs::path& shard : shards) {
    SampleReader* reader = readers.emplace_back(std::make_unique<SampleReader>(shard, false)).get();
    sources.emplace_back([reader] { return reader->next(); });
  }
  std::ofstream stream(out, std::ios::binary);
  TarWriter tar(stream);
  std::int64_t number = 0;
  const std::int64_t rows = interleave<Sample>(sources, shards, [&](const Sample& sample) {
    for (const auto& [ending, bytes] : sample.members) {
      tar.add(sample_key(number) + "." + ending, bytes);
    }
    ++number;
  });
  tar.close();
  stream.close();
  if (!stream) {
    fail(Kind::unavailable, "{} cannot be written", out.string());
  }
  return rows;
}

using Merge = std::int64_t (*)(const std::vector<fs::path>&, const fs::path&);

/// What a merge has written of its output, and the journal of a Parquet file.
void remove_begun(const fs::path& begun) {
  std::error_code code;
  fs::remove_all(begun, code);
  fs::remove(begun.string() + ".rows.jsonl", code);
}

/// By the ending of what is to be written; none is a folder.
Merge merge_to(const std::string& ending) {
  static const std::map<std::string, Merge> merges = {
      {"", merge_folders},       {".parquet", merge_parquet}, {".csv", merge_delimited},
      {".tsv", merge_delimited}, {".jsonl", merge_lines},     {".ndjson", merge_lines},
      {".txt", merge_lines},     {".tar", merge_tars}};
  const auto found = merges.find(ending);
  return found == merges.end() ? nullptr : found->second;
}

}  // namespace

std::int64_t merge_shards(const std::vector<fs::path>& shards, const fs::path& to) {
  const fs::path out = to.has_filename() ? to : to.parent_path();  // "folder/" is "folder"
  const std::string ending = out.extension();
  const Merge merge = merge_to(ending);
  if (merge == nullptr) {
    fail(Kind::invalid_argument,
         "{}: the ending \"{}\" cannot be merged to; expected .jsonl, .csv, .tsv, .txt, .parquet, "
         ".tar or none (a dataset folder)",
         out.string(), ending);
  }
  for (const fs::path& shard : shards) {
    if (shard.extension() != ending) {
      fail(Kind::invalid_argument, "{} and {} are of different formats; give both one ending",
           shard.string(), out.string());
    }
  }
  if (fs::exists(out)) {
    fail(Kind::invalid_argument, "{} is there already; name another file", out.string());
  }
  for (const fs::path& shard : shards) {
    if (!ending.empty() && ending != ".parquet" && ending != ".tar") {
      check_finished(shard);
    }
  }
  check_same_job(shards);
  fs::path begun = out;
  begun.replace_filename(out.stem().string() + ".merging" + ending);
  remove_begun(begun);
  if (ending.empty()) {
    fs::create_directories(begun);
  }
  try {
    const std::int64_t rows = merge(shards, begun);
    if (ending.empty()) {
      fs::rename(begun, out);
    } else {
      put_in_place(begun, out);
    }
    return rows;
  } catch (...) {
    remove_begun(begun);
    throw;
  }
}

}  // namespace longhand
