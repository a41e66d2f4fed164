// A language model that continues many conversations at once: what they share is evaluated once.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/message.h"
#include "core/random.h"

namespace longhand {

struct Sampling {
  double temperature = 0.7;
  int top_k = 50;
  double top_p = 0.95;
  int max_new_tokens = 256;
};

/// A hook on the logits of one sequence while it is decoded.
class Guide {
 public:
  virtual ~Guide() = default;
  /// Called once a step with the text so far (its opening included). False ends the sequence there.
  virtual bool step(const std::string& text) = 0;
  /// What is added to the logit of a token that would append `piece`, or end the turn: 0 leaves it,
  /// -infinity forbids it. Called for the top_k tokens.
  virtual float bias(const std::string& piece, bool ends_turn) = 0;
};

/// One text to generate.
struct Sequence {
  std::int64_t id = 0;         // given back with the result
  std::vector<Message> turns;  // after the shared ones; the last is the user's
  std::string opening;         // the assistant's turn begins with it, and so does the result
  Random random;               // belongs to the sequence, not to its place in the batch
  std::shared_ptr<Guide> guide;
};

struct Generated {
  std::int64_t id = 0;
  std::string text;
};

class LanguageModel {
 public:
  virtual ~LanguageModel() = default;
  /// What captions are labelled with.
  virtual std::string name() const = 0;
  /// True where openings and guides are honoured.
  virtual bool steerable() const = 0;
  /// Generates until `next` gives no more and all are done, as many at once as there is room for;
  /// `done` is called as each finishes, in no particular order. After each `done`, `next` is asked
  /// again even if it gave none before, so that a result may be followed up. Both are called on the
  /// caller's thread.
  virtual void generate(const std::vector<Message>& shared,
                        const std::function<std::optional<Sequence>()>& next,
                        const std::function<void(Generated)>& done, const Sampling& sampling) = 0;
};

}  // namespace longhand
