#include "pipeline/upsample.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <deque>
#include <map>
#include <utility>

#include "core/interrupt.h"
#include "core/letters.h"
#include "pipeline/budget_guide.h"
#include "text/fidelity.h"
#include "text/sentences.h"

namespace longhand {
namespace {

constexpr int least_words = 15;       // the report's rule: 15 to 80 words
constexpr int room_to_lengthen = 20;  // tokens; a prompt that leaves less is kept
constexpr double keeps_enough = 0.8;
constexpr double words_a_token = 0.7;  // of a caption in English, with its commas and rarer words
constexpr std::size_t most_pending = 4096;  // rows that may wait for an earlier one

long word_count(const std::string& text) { return std::ranges::count(text, ' ') + 1; }

/// The prompt's own words as a caption begins: without its last full stop, its first letter small
/// unless it begins an acronym.
std::string as_opening(const std::string& prompt) {
  std::string text = tidy(prompt);
  while (text.ends_with('.') || text.ends_with(',')) {
    text.pop_back();
  }
  const bool capital_alone =
      text.size() > 1 && std::islower(static_cast<unsigned char>(text[1])) != 0;
  if (capital_alone || text.starts_with("A ") || text.starts_with("I ")) {
    text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  }
  return text;
}

/// What a model that cannot be steered is told: captions of so many words are within the budget as
/// a rule.
int words_within(int max_tokens) { return static_cast<int>(words_a_token * (max_tokens - 2)); }

std::string length_in_words(int words) {
  return fmt::format("Answer with the caption alone, at most {} words that end with a full stop.",
                     words);
}

/// How badly a text fits: tokens over the budget, then whether its end is missing.
std::pair<int, bool> misfit(const std::string& raw, const ClipTokenizer& tokenizer,
                            int max_tokens) {
  const std::string text = tidy(raw);
  return {std::max(0, tokenizer.count(text) - max_tokens), !ends_finished(text)};
}

/// "remove the car": a change that names what is not to be there.
bool asks_to_remove(std::string_view change) {
  const std::string text = lower(tidy(change));
  return std::ranges::any_of(std::array{"remove ", "delete ", "erase ", "drop ", "without ", "no ",
                                        "take out ", "take away ", "leave out ", "get rid of "},
                             [&](const char* beginning) { return text.starts_with(beginning); });
}

}  // namespace

Upsampler::Upsampler(std::shared_ptr<LanguageModel> model, Template prompt_template,
                     const UpsampleRequest& request, std::shared_ptr<const ClipTokenizer> tokenizer)
    : model_(std::move(model)),
      template_(std::move(prompt_template)),
      request_(request),
      tokenizer_(std::move(tokenizer)) {}

/// Every second candidate, the first among them, opens with the prompt's own words.
Sequence Upsampler::sequence(const UpsampleRow& row, std::int64_t index, int candidate) const {
  Sequence made{index * request_.candidates + candidate,
                row.turns.empty() ? std::vector{template_.ask(row.prompt)} : row.turns, "",
                Random({static_cast<std::uint64_t>(request_.seed),
                        static_cast<std::uint64_t>(index), static_cast<std::uint64_t>(candidate)}),
                nullptr};
  if (asks_again()) {
    made.turns.back().content += "\n" + length_in_words(words_within(request_.max_tokens));
  } else if (!request_.unguided) {
    made.guide = std::make_shared<BudgetGuide>(tokenizer_, request_.max_tokens, least_words);
    if (row.turns.empty() && candidate % 2 == 0) {
      made.opening = as_opening(row.prompt);
    }
  }
  return made;
}

/// The conversation goes on from a caption that does not fit; a model that said nothing is asked
/// anew.
Sequence Upsampler::follow_up(const UpsampleRow& row, std::int64_t index, int candidate,
                              const std::string& caption) const {
  Sequence made = sequence(row, index, candidate);
  made.random =
      Random({static_cast<std::uint64_t>(request_.seed), static_cast<std::uint64_t>(index),
              static_cast<std::uint64_t>(candidate), 1});
  const std::string text = tidy(caption);
  if (!text.empty()) {
    // In the measure of this caption's own words, where they need more tokens than most.
    const double share = static_cast<double>(request_.max_tokens) / tokenizer_->count(text);
    const int words =
        std::min(words_within(request_.max_tokens),
                 static_cast<int>(0.9 * share * static_cast<double>(word_count(text))));
    made.turns.push_back({"assistant", text});
    made.turns.push_back(
        {"user", "Say the same in fewer words. " + length_in_words(std::max(3, words))});
  }
  return made;
}

Caption Upsampler::choose(const UpsampleRow& row,
                          const std::vector<std::string>& candidates) const {
  const bool removes = !row.turns.empty() && asks_to_remove(row.prompt);
  const Demands demands(removes ? "" : tidy(row.prompt));
  const int budget = request_.max_tokens;
  const auto judged = [&](const std::string& text) {
    Verdict verdict = demands.judge(text);
    verdict.score *= std::min(1.0, 0.5 + 0.5 * static_cast<double>(word_count(text)) / least_words);
    return verdict;
  };
  std::string best;
  Verdict verdict;
  verdict.score = -1;
  for (const std::string& candidate : candidates) {
    const std::string text =
        request_.unguided ? tidy(candidate) : cut_to_fit(tidy(candidate), *tokenizer_, budget);
    const Verdict own = judged(text);
    if (own.score > verdict.score) {
      best = text;
      verdict = own;
    }
  }
  const bool loses_quote = verdict.quotes.kept < verdict.quotes.asked;
  if (!request_.unguided && row.turns.empty() && (verdict.score < keeps_enough || loses_quote)) {
    const std::string joined = prompt_in_front(tidy(row.prompt), best, *tokenizer_, budget);
    const Verdict own = judged(joined);
    if (own.score > verdict.score || own.quotes.kept > verdict.quotes.kept) {
      best = joined;
      verdict = own;
    }
  }
  return {row.prompt, best, row.category, tokenizer_->count(best), verdict.score, verdict.lost};
}

/// One call's rows on their way through the model: each begins once, its candidates come back in
/// any order, and captions leave in the rows' order.
class Upsampler::Run {
 public:
  Run(const Upsampler& upsampler, const NextRow& next, const CaptionDone& done)
      : own_(upsampler), next_(next), done_(done), candidate_(upsampler.request_.candidates) {}

  /// What the model is to write next; none where nothing may begin now.
  std::optional<Sequence> next_sequence() {
    if (!again_.empty()) {
      const auto [index, number] = again_.front();
      again_.pop_front();
      const Pending& entry = pending_.at(index);
      return own_.follow_up(entry.row, index, number, entry.first.at(number));
    }
    while (candidate_ == own_.request_.candidates) {
      if (!begin_row()) {
        return std::nullopt;
      }
    }
    return own_.sequence(pending_.at(read_).row, read_, candidate_++);
  }

  void take(Generated generated) {
    const std::int64_t index = generated.id / own_.request_.candidates;
    const auto number = static_cast<int>(generated.id % own_.request_.candidates);
    Pending& entry = pending_.at(index);
    if (const auto first = entry.first.find(number); first != entry.first.end()) {
      if (tidy(generated.text).empty() || fit(first->second) <= fit(generated.text)) {
        generated.text = std::move(first->second);
      }
    } else if (own_.asks_again() && fit(generated.text) != std::pair(0, false)) {
      entry.first[number] = std::move(generated.text);
      again_.emplace_back(index, number);
      return;
    }
    entry.candidates[number] = std::move(generated.text);
    if (std::ssize(entry.candidates) == own_.request_.candidates) {
      std::vector<std::string> texts;
      for (auto& [each, text] : entry.candidates) {
        texts.push_back(std::move(text));
      }
      settle(entry, texts);
    }
  }

 private:
  struct Pending {
    UpsampleRow row;
    std::map<std::int64_t, std::string>
        candidates;                             // by number: ties are broken the same way each time
    std::map<std::int64_t, std::string> first;  // those that did not fit and are asked again
    std::optional<Caption> caption;
  };

  /// Reads a row, and settles it where its prompt is kept. False where none may begin.
  bool begin_row() {
    if (ended_ || pending_.size() >= most_pending) {
      return false;
    }
    auto row = interrupted() ? std::nullopt : next_();
    if (!row) {
      ended_ = true;
      return false;
    }
    read_ = row->number;
    Pending& entry = pending_[read_];
    entry.row = std::move(*row);
    if (const std::string prompt = tidy(entry.row.prompt); own_.keeps(entry.row, prompt)) {
      const int budget = own_.request_.max_tokens;
      settle(entry, {prompt_in_front(prompt, "", *own_.tokenizer_, budget),
                     cut_at_word(prompt, *own_.tokenizer_, budget)});
    } else {
      candidate_ = 0;
    }
    return true;
  }

  void settle(Pending& entry, const std::vector<std::string>& texts) {
    entry.caption = own_.choose(entry.row, texts);
    while (!pending_.empty() && pending_.begin()->second.caption) {
      done_(*pending_.begin()->second.caption);
      pending_.erase(pending_.begin());
    }
  }

  std::pair<int, bool> fit(const std::string& text) const {
    return misfit(text, *own_.tokenizer_, own_.request_.max_tokens);
  }

  const Upsampler& own_;
  const NextRow& next_;
  const CaptionDone& done_;
  std::map<std::int64_t, Pending> pending_;         // by number
  std::deque<std::pair<std::int64_t, int>> again_;  // row and candidate
  std::int64_t read_ = 0;                           // the number of the row read last
  int candidate_;  // of the row read last; none is left of the row before the first
  bool ended_ = false;
};

/// A prompt that says much, or leaves no room, is its own caption.
bool Upsampler::keeps(const UpsampleRow& row, const std::string& tidied) const {
  return !request_.unguided && row.turns.empty() &&
         (is_detailed(tidied) ||
          tokenizer_->count(tidied) > request_.max_tokens - room_to_lengthen);
}

void Upsampler::upsample(const NextRow& next, const CaptionDone& done) const {
  Run run(*this, next, done);
  model_->generate(
      template_.shared(), [&] { return run.next_sequence(); },
      [&](Generated generated) { run.take(std::move(generated)); }, sampling());
}

Sampling Upsampler::sampling() const {
  return {request_.temperature.value_or(template_.temperature.value_or(Sampling{}.temperature)),
          request_.top_k, request_.top_p, 256};
}

std::string Upsampler::settings() const {
  const Sampling sampling = this->sampling();
  return fmt::format("{} candidate{} of {} tokens, temperature {}, top-k {}, top-p {}{}",
                     request_.candidates, request_.candidates == 1 ? "" : "s", request_.max_tokens,
                     sampling.temperature, sampling.top_k, sampling.top_p,
                     request_.unguided ? ", unguided" : "");
}

Caption Upsampler::upsample(const UpsampleRow& row) const {
  std::optional<UpsampleRow> waiting = row;
  Caption result;
  upsample([&] { return std::exchange(waiting, std::nullopt); },
           [&](const Caption& caption) { result = caption; });
  if (waiting) {  // a signal came before it was taken
    throw_if_interrupted();
  }
  return result;
}

}  // namespace longhand
