#include "io/webdataset.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "core/durable.h"
#include "core/error.h"
#include "io/tar.h"

namespace longhand {
namespace {

using nlohmann::ordered_json;
using Strings = std::vector<std::string>;

// Bytes of a member that is read.
constexpr std::int64_t most_text = 16 << 20, most_other = 256 << 20;
constexpr const char* key_column = "__key__";

/// A member's key and ending: parted at the first dot of the file's name.
std::pair<std::string, std::string> parted(const std::string& name) {
  const std::size_t base = name.rfind('/') + 1;  // 0 where there is none
  const std::size_t dot = name.find('.', base);
  return dot == std::string::npos || dot == base
             ? std::pair<std::string, std::string>()
             : std::pair(name.substr(0, dot), name.substr(dot + 1));
}

bool is_text(const std::string& ending) {
  static constexpr std::array endings = {"txt", "text", "caption", "cls", "json"};
  return std::ranges::find(endings, ending) != endings.end();
}

using Sample = SampleReader::Sample;

class WebDatasetReader : public RowReader {
 public:
  explicit WebDatasetReader(const fs::path& path) : name_(path.string()), samples_(path, true) {
    const auto sample = samples_.next();
    if (!sample) {
      fail(Kind::corrupt, "{} has no samples; expected members as KEY.txt, KEY.json", name_);
    }
    const auto cells = cells_of(*sample);
    for (const auto& [name, cell] : cells) {
      columns_.push_back(name);
    }
    first_ = row_of(cells);
  }
  const Strings& columns() const override { return columns_; }
  std::optional<Strings> next() override {
    if (first_) {
      return std::exchange(first_, std::nullopt);
    }
    const auto sample = samples_.next();
    return sample ? std::optional(row_of(cells_of(*sample))) : std::nullopt;
  }

 private:
  using Cells = std::vector<std::pair<std::string, std::string>>;

  Cells cells_of(const Sample& sample) const {
    Cells cells = {{key_column, sample.key}};
    for (const auto& [ending, bytes] : sample.members) {
      if (ending != "json") {
        cells.emplace_back(ending, bytes);
        continue;
      }
      const ordered_json object = ordered_json::parse(bytes, nullptr, false);
      if (!object.is_object()) {
        fail(Kind::corrupt, "{}, sample {}: its .json is not a JSON object", name_, sample.key);
      }
      for (const auto& [name, value] : object.items()) {
        cells.emplace_back(name, value.is_string() ? value.get<std::string>()
                                 : value.is_null() ? ""
                                                   : value.dump());
      }
    }
    return cells;
  }

  Strings row_of(const Cells& cells) const {
    Strings row;
    for (const std::string& column : columns_) {
      const auto cell = std::ranges::find(cells, column, &Cells::value_type::first);
      row.push_back(cell == cells.end() ? "" : cell->second);
    }
    return row;
  }

  std::string name_;
  SampleReader samples_;
  Strings columns_;
  std::optional<Strings> first_;
};

}  // namespace

SampleReader::SampleReader(const fs::path& path, bool text_only)
    : tar_(path), text_only_(text_only), ahead_(tar_.next()) {}

std::optional<Sample> SampleReader::next() {
  try {
    return whole_sample();
  } catch (const Error&) {
    pass_over_sample();
    throw;
  }
}

/// After a fault in it: the next call answers with the next one, or with the end of a broken file.
void SampleReader::pass_over_sample() {
  const std::string key = ahead_ ? parted(ahead_->name).first : "";
  try {
    while (ahead_ && parted(ahead_->name).first == key) {
      ahead_ = tar_.next();
    }
  } catch (const Error&) {
    ahead_.reset();
  }
}

std::optional<Sample> SampleReader::whole_sample() {
  Sample sample;
  for (; ahead_; ahead_ = tar_.next()) {
    const auto [key, ending] = parted(ahead_->name);
    if (key.empty()) {
      continue;
    }
    if (!sample.key.empty() && key != sample.key) {
      break;
    }
    sample.key = key;
    if (!text_only_ || is_text(ending)) {
      sample.members.emplace_back(ending, tar_.read(is_text(ending) ? most_text : most_other));
    }
  }
  return sample.key.empty() ? std::nullopt : std::optional(std::move(sample));
}

std::string sample_key(std::int64_t number) { return fmt::format("{:09}", number); }

std::unique_ptr<RowReader> open_webdataset(const fs::path& path) {
  return std::make_unique<WebDatasetReader>(path);
}

void write_webdataset(const fs::path& path, const fs::path& journal,
                      const std::vector<Column>& columns, const std::string& text_column) {
  const fs::path begun = path.string() + ".partial";
  std::ofstream out(begun, std::ios::binary);
  TarWriter tar(out);
  std::ifstream rows(journal, std::ios::binary);
  std::string line;
  for (std::int64_t number = 0; std::getline(rows, line); ++number) {
    const std::string key = sample_key(number);
    const ordered_json row = ordered_json::parse(line);
    tar.add(key + ".json", line);
    if (row.contains(text_column)) {
      tar.add(key + ".txt", row[text_column].get<std::string>());
    }
    bool first = true;
    for (const Column& column : columns) {
      if (column.type != Column::Type::image || row[column.name].get<std::string>().empty()) {
        continue;
      }
      const fs::path picture = path.parent_path() / row[column.name].get<std::string>();
      tar.add(key + (first ? "" : "." + column.name) + picture.extension().string(),
              read_file(picture));
      first = false;
    }
  }
  tar.close();
  out.close();
  if (!out) {
    fail(Kind::unavailable, "{} cannot be written", begun.string());
  }
  put_in_place(begun, path);
}

void restore_journal_from_webdataset(const fs::path& journal, const fs::path& path,
                                     const std::vector<Column>& columns) {
  TarReader tar(path);
  std::string lines;
  while (const auto member = tar.next()) {
    if (parted(member->name).second != "json") {
      continue;
    }
    const std::string line = tar.read(most_text);
    const ordered_json row = ordered_json::parse(line, nullptr, false);
    const bool ours = row.is_object() && row.size() == columns.size() &&
                      std::ranges::all_of(
                          columns, [&](const Column& column) { return row.contains(column.name); });
    if (!ours || line.find('\n') != std::string::npos) {
      fail(Kind::invalid_argument,
           "{}: {} is no row of this command; name another file or --overwrite", path.string(),
           member->name);
    }
    lines += line + "\n";
  }
  write_file_atomically(journal, lines);
}

}  // namespace longhand
