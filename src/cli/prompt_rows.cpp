#include "cli/prompt_rows.h"

#include <algorithm>
#include <iostream>
#include <tuple>

#include "cli/command.h"
#include "core/error.h"
#include "core/log.h"
#include "text/sentences.h"

namespace longhand {

void add_source(CLI::App& app, PromptSource& source) {
  app.add_option("--prompts", source.prompts,
                 "drawbench, parti, geneval, a .csv, .tsv, .jsonl, .txt, .parquet or .tar "
                 "(WebDataset) file, or a folder that `upsample` or `compare` wrote, or of .tar "
                 "files");
  app.add_option("--column", source.column, "the prompts' column, where its name is unusual");
  app.add_option("--limit", source.limit, "at most so many prompts")->check(CLI::NonNegativeNumber);
  app.add_option(
      "--shard", source.shard,
      "i/n: every n-th prompt only, from the i-th on (0 to n-1), beside other processes; "
      "`longhand merge` joins what they write");
  app.add_flag("--keep-going", source.keep_going, "pass over broken rows");
}

void check_not_source(const PromptSource& source, const fs::path& out) {
  std::error_code code;
  const auto same = [&](const fs::path& other) {
    return fs::equivalent(source.prompts, other, code);
  };
  if (!out.empty() && (same(out) || same(out / "rows.jsonl"))) {
    fail(Kind::invalid_argument, "{} is read from and cannot be written to", out.string());
  }
}

PromptRows::PromptRows(const PromptSource& source) : source_(source) {
  std::tie(part_, parts_) = shard_of(source.shard);
  const bool file = !source.prompts.empty();
  name_ = file ? resolve_prompts(source.prompts).string() : "standard input";
  reader_ = file ? RowReader::open(name_) : RowReader::lines(std::cin);
  prompt_ = prompt_column(*reader_, source.column);
  const auto& columns = reader_->columns();
  const auto category = std::ranges::find_if(
      columns, [](const std::string& name) { return name == "Category" || name == "category"; });
  category_ = category == columns.end() ? -1 : category - columns.begin();
}

std::optional<UpsampleRow> PromptRows::next() {
  auto row = next_of_all();
  while (row && row->number % parts_ != part_) {
    row = next_of_all();
  }
  return row;
}

std::optional<UpsampleRow> PromptRows::next_of_all() {
  while (source_.limit == 0 || whole_ < source_.limit) {
    ++number_;
    try {
      const auto row = reader_->next();
      if (!row) {
        return std::nullopt;
      }
      check_prompt((*row)[prompt_], fmt::format("{}, row {}", name_, number_));
      return UpsampleRow{
          .prompt = (*row)[prompt_],
          .category = category_ < 0 ? "" : (*row)[static_cast<std::size_t>(category_)],
          .turns = {},
          .number = whole_++};
    } catch (const Error& error) {
      if (!source_.keep_going) {
        throw Error(error.kind(),
                    std::string(error.what()) + " (--keep-going passes over such rows)");
      }
      spdlog::warn("{}", error.what());
    }
  }
  return std::nullopt;
}

std::int64_t PromptRows::total() const {
  const auto own = [&](std::int64_t all) { return (all - part_ + parts_ - 1) / parts_; };
  if (source_.prompts.empty()) {
    return source_.limit == 0 ? 0 : own(source_.limit);
  }
  const auto reader = RowReader::open(name_);
  std::int64_t count = 0;
  for (bool more = true; more && (source_.limit == 0 || count < source_.limit);) {
    try {
      more = reader->next().has_value();
      count += more ? 1 : 0;
    } catch (const Error&) {  // a broken row: next() will tell of it
    }
  }
  return own(count);
}

}  // namespace longhand
