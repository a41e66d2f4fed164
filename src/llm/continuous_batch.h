// Many sequences decoded together: whichever ends makes room for the next at once. What they share
// at their beginning is evaluated once.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "llm/chat_vocabulary.h"
#include "llm/language_model.h"

namespace longhand {

/// A token to be evaluated.
struct TokenRow {
  std::int32_t token;
  int position;  // in its sequence, the shared beginning counted
  int slot;      // its sequence
  bool logits;   // whether the next token's are asked for
};

/// An engine's side: evaluates tokens, remembers keys and values. Its memory is counted in cells,
/// one for each token that a sequence may come to have beyond what it shares.
class Decoder {
 public:
  virtual ~Decoder() = default;
  virtual int slots() const = 0;
  virtual int tokens_a_step() const = 0;
  virtual std::int64_t cells() const = 0;
  /// Tokens that a sequence may have, the shared ones counted.
  virtual std::int64_t context() const = 0;

  /// What all sequences may begin with; called once, first.
  virtual void evaluate_prefix(std::span<const std::int32_t> tokens) = 0;
  /// A sequence that begins with `shared` tokens of the prefix, and may take so many cells.
  virtual void begin(int slot, int shared, int cells) = 0;
  virtual void end(int slot) = 0;
  /// Rows of a sequence follow one another, in the order of their positions.
  virtual void evaluate(std::span<const TokenRow> rows) = 0;
  /// Of a row of the last evaluate() that asked for them; valid until the next.
  virtual std::span<const float> logits(int row) = 0;
};

/// LanguageModel::generate() by a decoder.
class ContinuousBatch {
 public:
  ContinuousBatch(Decoder& decoder, const ChatVocabulary& vocabulary, const std::string& model,
                  const std::vector<Message>& shared, const Sampling& sampling);
  void generate(const std::function<std::optional<Sequence>()>& next,
                const std::function<void(Generated)>& done);

 private:
  /// A sequence that is being decoded.
  struct Active {
    Sequence sequence;
    std::string text;  // opening and what was generated
    Tokens waiting;    // to be evaluated next
    int position = 0;  // tokens evaluated
    int generated = 0;
    int reserved = 0;    // cells
    int logits_at = -1;  // row of this step's logits
    bool ended = false;
  };

  void check_length(std::int64_t tokens) const;
  void fill(const std::function<std::optional<Sequence>()>& next);
  bool hold(const std::function<std::optional<Sequence>()>& next);
  bool admit(std::size_t slot);
  void enqueue(std::size_t slot);
  void sample();
  bool advance(Active& active, std::span<const float> logits) const;
  void finish(std::size_t slot, const std::function<void(Generated)>& done);

  Decoder& decoder_;
  const ChatVocabulary& vocabulary_;
  const std::string& model_;  // its name
  const std::vector<Message>& shared_;
  const Sampling& sampling_;
  Tokens prefix_;
  std::vector<std::optional<Active>> slots_;
  std::int64_t free_cells_;
  bool more_ = true;            // `next` may give another
  std::optional<Active> held_;  // the next one, prepared
  std::vector<TokenRow> rows_;
};

}  // namespace longhand
