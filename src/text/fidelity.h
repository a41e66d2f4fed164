// Does a caption keep what the prompt asked for? Words, numbers, colours, relations, quoted text; loops count against it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace longhand {

/// One thing that the prompt named.
struct Demand {
  enum class Kind { word, number, colour, relation, quote };
  Kind kind;
  std::string text;  // as the prompt says it: "two dogs", "red", "on top of", "Deep Learning"
};

/// What a prompt asks for. Made once a prompt, matched against many captions.
class Demands {
 public:
  explicit Demands(std::string_view prompt);
  const std::vector<Demand>& all() const { return demands_; }

  struct Verdict {
    double score = 1;               // 0…1: weighted share kept, less penalties for repetition
    std::vector<std::string> lost;  // what was asked and is not there
    int words_kept = 0, words_asked = 0;
    int numbers_kept = 0, numbers_asked = 0;    // numbers with their nouns
    int colours_kept = 0, colours_asked = 0;    // colours with their nouns
    int relations_kept = 0, relations_asked = 0;
    int quotes_kept = 0, quotes_asked = 0;      // letter for letter
    double repetition = 0;          // share of the caption that repeats itself
  };
  /// Inflection allowed ("dog" is kept by "dogs", "sit" by "sitting"; "2" by "two").
  Verdict judge(std::string_view caption) const;

 private:
  std::string prompt_;
  std::vector<Demand> demands_;
};

/// Share of a text that says again what it said (repeated clauses and word n-grams), 0…1.
double repetition(std::string_view text);

}  // namespace longhand
