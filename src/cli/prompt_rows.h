// Prompts from --prompts or standard input, for the verbs that take many.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>

#include "io/table.h"
#include "pipeline/upsample.h"

namespace longhand {

/// Where prompts come from: --prompts, --column, --limit, --shard, --keep-going.
struct PromptSource {
  std::string prompts, column;
  std::int64_t limit = 0;  // 0: all
  std::string shard = "0/1";
  bool keep_going = false;
};

void add_source(CLI::App& app, PromptSource& source);

/// Throws invalid_argument where the prompts come from what is to be written; "" is nothing.
void check_not_source(const PromptSource& source, const fs::path& out);

/// Rows in order, checked (text/sentences.h, check_prompt). A broken row throws, naming file and
/// row; with keep_going it is warned of and passed.
class PromptRows {
 public:
  explicit PromptRows(const PromptSource& source);
  std::optional<UpsampleRow> next();
  /// How many there are, for a progress line; 0 where that is not known, as of standard input.
  std::int64_t total() const;

 private:
  /// The next whole row, of any shard.
  std::optional<UpsampleRow> next_of_all();

  PromptSource source_;
  std::int64_t part_, parts_;
  std::int64_t number_ = 0, whole_ = 0;  // rows that were read, and those that could be
  std::string name_;
  std::unique_ptr<RowReader> reader_;
  std::size_t prompt_ = 0;
  std::ptrdiff_t category_ = -1;
};

}  // namespace longhand
