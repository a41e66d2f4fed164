// Steers decoding so that a caption stays within the text encoder's tokens and ends with a finished
// sentence.
#pragma once

#include "llm/language_model.h"
#include "text/clip_tokenizer.h"

namespace longhand {

class BudgetGuide : public Guide {
 public:
  /// max_tokens: with the two marks. min_words: the turn may not end before.
  BudgetGuide(std::shared_ptr<const ClipTokenizer> tokenizer, int max_tokens, int min_words);

  /// Stops where the budget is spent, or a sentence has ended and no other would fit.
  bool step(const std::string& text) override;
  /// Forbids line breaks and what opens another turn, and an end in the middle of a sentence; as
  /// the budget runs out, the end of a sentence is made likelier.
  float bias(const std::string& piece, bool ends_turn) override;

 private:
  std::shared_ptr<const ClipTokenizer> tokenizer_;
  int max_tokens_, min_words_;
  int left_ = 0;
  bool finished_ = false, long_enough_ = false;
};

}  // namespace longhand
