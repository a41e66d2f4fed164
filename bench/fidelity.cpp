// What the captions of a table keep of their prompts, as one JSON object: the figures of
// bench/README.md. Usage: fidelity CAPTIONS.jsonl
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "io/table.h"
#include "text/clip_tokenizer.h"
#include "text/fidelity.h"
#include "text/sentences.h"

namespace longhand {
namespace {

/// The mean over captions of the share kept; prompts that ask for none of a kind do not count.
class Mean {
 public:
  void add(const Kept& kept) {
    if (kept.asked > 0) {
      sum_ += static_cast<double>(kept.kept) / kept.asked;
      ++count_;
    }
  }
  nlohmann::json json() const {
    return {{"kept", count_ == 0 ? 1.0 : sum_ / count_}, {"prompts", count_}};
  }

 private:
  double sum_ = 0;
  int count_ = 0;
};

std::size_t column(const RowReader& reader, const std::string& name) {
  return prompt_column(reader, name);
}

void report(const fs::path& path) {
  const auto reader = RowReader::open(path);
  const std::size_t prompt = column(*reader, "Prompt"),
                    caption = column(*reader, "Upsampled Prompt");
  const auto tokenizer = ClipTokenizer::shared();
  Mean words, numbers, colours, relations, quotes;
  int rows = 0, fit = 0, finished = 0, complete = 0;
  double word_count = 0;
  while (const auto row = reader->next()) {
    const std::string& text = (*row)[caption];
    const Verdict verdict = Demands((*row)[prompt]).judge(text);
    words.add(verdict.words);
    numbers.add(verdict.numbers);
    colours.add(verdict.colours);
    relations.add(verdict.relations);
    quotes.add(verdict.quotes);
    ++rows;
    fit += tokenizer->count(text) <= 77 ? 1 : 0;
    finished += ends_finished(text) ? 1 : 0;
    complete += verdict.lost.empty() ? 1 : 0;
    word_count += static_cast<double>(std::ranges::count(text, ' ') + 1);
  }
  const double n = std::max(1, rows);
  const nlohmann::json json = {
      {"captions", rows},          {"within_77_tokens", fit / n},  {"ends_finished", finished / n},
      {"keeps_all", complete / n}, {"mean_words", word_count / n}, {"content_words", words.json()},
      {"numbers", numbers.json()}, {"colours", colours.json()},    {"relations", relations.json()},
      {"quotes", quotes.json()}};
  std::printf("%s\n", json.dump(1).c_str());
}

}  // namespace
}  // namespace longhand

int main(int argc, char** argv) {
  try {
    if (argc != 2) {
      longhand::fail(longhand::Kind::invalid_argument, "usage: fidelity CAPTIONS.jsonl");
    }
    longhand::report(argv[1]);
    return 0;
  } catch (const longhand::Error& error) {
    std::fprintf(stderr, "fidelity: %s\n", error.what());
    return longhand::exit_code(error.kind());
  }
}
