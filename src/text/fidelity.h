// Does a caption keep what the prompt asked for? Words, numbers, colours, relations, quoted text;
// loops count against it.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace longhand {

/// One thing that the prompt named.
struct Demand {
  enum class Kind { word, number, colour, relation, quote };
  Kind kind;
  std::string
      text;  // as the prompt says it: "dogs", "two dogs", "red car", "on top of", "Deep Learning"
  std::vector<std::string> stems;  // number, colour: itself, then its noun's stem; word: its stem
};

/// Share of the demands of one kind that a caption keeps.
struct Kept {
  int kept = 0;
  int asked = 0;
};

struct Verdict {
  /// 0…1. Demands weigh 4 (quotes: they are exact or wrong), 2 (numbers and colours with their
  /// nouns, where DALL·E 3's own failures lie; a contradiction counts as one lost), 1 (words and
  /// relations); less `repetition`.
  double score = 1;
  std::vector<std::string> lost;
  /// What the caption says against the prompt: "red apple" where a green one was asked, "cat on the
  /// left" where it was asked to be right of a dog, "cat is dog", "flat style" where bold outlines
  /// were asked for.
  std::vector<std::string> contradictions;
  Kept words, numbers, colours, relations, quotes;
  double repetition = 0;
};

/// What a prompt asks for. Made once a prompt, matched against many captions.
class Demands {
 public:
  explicit Demands(std::string_view prompt);
  const std::vector<Demand>& all() const { return demands_; }
  /// Inflection allowed: "dog" is kept by "dogs", "sit" by "sitting", "2" by "two".
  Verdict judge(std::string_view caption) const;

 private:
  std::vector<Demand> demands_;
  std::map<std::string, std::string> sides_;  // stems of things → "left" or "right"
  std::string said_;                          // the prompt's words
};

/// Share of a text's runs of four words that it said before, 0…1.
double repetition(std::string_view text);

}  // namespace longhand
