#include "world/phrases.h"

#include <array>
#include <map>

#include "world/nouns.h"

namespace longhand {

std::string named(const Figure& figure) {
  return figure.count == 1 ? figure.thing : plural(figure.thing);
}

std::string phrase(const Figure& figure, const std::string& adjective, bool spell_one) {
  static constexpr std::array words = {"zero", "one", "two", "three", "four"};
  std::string noun = named(figure);
  if (!figure.colour.empty()) {
    noun = figure.colour + " " + noun;
  }
  if (!adjective.empty()) {
    noun = adjective + " " + noun;
  }
  if (plural_only(figure.thing)) {
    return noun;
  }
  if (const std::string measure = measure_of(figure.thing); !measure.empty()) {
    const std::string before = noun.substr(0, noun.size() - figure.thing.size());
    return adjective.empty() ? noun : with_article(before + measure + " of " + figure.thing);
  }
  if (figure.thing == "sun" && figure.colour.empty() && adjective.empty()) {
    return "the sun";
  }
  if (figure.count == 1 && !spell_one) {
    return with_article(noun);
  }
  return std::string(words[static_cast<std::size_t>(figure.count)]) + " " + noun;
}

std::string one_of(Random& random, std::initializer_list<const char*> choices) {
  return random.pick(std::vector<const char*>(choices));
}

std::string style_words(const std::string& style, Random& random) {
  if (style == "shaded") {
    return one_of(random, {"softly shaded", "drawn with soft shading"});
  }
  if (style == "3D") {
    return one_of(random, {"in 3D", "rendered in 3D", "as a 3D model"});
  }
  return style == "flat" ? one_of(random, {"in a flat style", "drawn in a flat style"})
                         : one_of(random, {"with bold outlines", "drawn with bold outlines"});
}

const std::vector<std::string>& relation_words(const std::string& relation) {
  static const std::map<std::string, std::vector<std::string>> words = {
      {"left of", {"to the left of", "on the left of", "left of"}},
      {"right of", {"to the right of", "on the right of", "right of"}},
      {"next to", {"next to", "next to", "beside"}},
      {"on", {"on top of", "on top of", "on"}},
      {"under", {"underneath", "under"}},
      {"above", {"above"}},
      {"below", {"below"}},
      {"in front of", {"in front of"}},
      {"behind", {"behind"}}};
  return words.at(relation);
}

}  // namespace longhand
