#include "pipeline/budget_guide.h"

#include <algorithm>
#include <limits>

#include "text/sentences.h"

namespace longhand {
namespace {

constexpr int shortest_sentence = 12;  // a further sentence needs about as many tokens
constexpr int closing_tokens = 14;     // from here on, ends of sentences are favoured
constexpr float forbidden = -std::numeric_limits<float>::infinity();

}  // namespace

BudgetGuide::BudgetGuide(std::shared_ptr<const ClipTokenizer> tokenizer, int max_tokens,
                         int min_words)
    : tokenizer_(std::move(tokenizer)), max_tokens_(max_tokens), min_words_(min_words) {}

bool BudgetGuide::step(const std::string& text) {
  left_ = max_tokens_ - tokenizer_->count(tidy(text));
  finished_ = ends_finished(text);
  long_enough_ = std::ranges::count(text, ' ') + 1 >= min_words_;
  return left_ > 0 && !(finished_ && left_ < shortest_sentence);
}

float BudgetGuide::bias(const std::string& piece, bool ends_turn) {
  if (ends_turn) {
    return finished_ && long_enough_ ? 0 : forbidden;
  }
  if (piece.empty() || piece.find_first_of("\n\r\t[]{}<>|*#") != std::string::npos) {
    return forbidden;
  }
  const bool ends_sentence = piece == "." || piece == "!" || piece == ".\"" || piece == ".'";
  if (ends_sentence && left_ < closing_tokens) {
    return 0.6F * static_cast<float>(closing_tokens - left_);
  }
  return 0;
}

}  // namespace longhand
