#include "world/nouns.h"

#include <map>
#include <set>

namespace longhand {

std::string plural(const std::string& thing) {
  static const std::map<std::string, std::string> irregular = {
      {"mouse", "mice"},      {"wolf", "wolves"},     {"knife", "knives"},
      {"tomato", "tomatoes"}, {"potato", "potatoes"}, {"maple leaf", "maple leaves"},
      {"sheep", "sheep"},     {"fish", "fish"},       {"deer", "deer"},
      {"snowman", "snowmen"},
  };
  if (plural_only(thing)) {
    return thing;
  }
  if (const auto found = irregular.find(thing); found != irregular.end()) {
    return found->second;
  }
  const bool hisses = thing.ends_with("s") || thing.ends_with("ch") || thing.ends_with("sh") ||
                      thing.ends_with("x");
  if (hisses) {
    return thing + "es";
  }
  const bool vowel_before_y = thing.ends_with("ey") || thing.ends_with("oy");
  if (thing.ends_with("y") && !vowel_before_y) {
    return thing.substr(0, thing.size() - 1) + "ies";
  }
  return thing + "s";
}

bool plural_only(const std::string& thing) {
  return thing == "scissors" || thing == "sunglasses" || thing == "french fries" ||
         thing == "grapes";
}

std::string measure_of(const std::string& thing) {
  static const std::map<std::string, std::string> measures = {
      {"bread", "loaf"}, {"corn", "ear"}, {"cheese", "piece"}, {"popcorn", "bag"}};
  const auto found = measures.find(thing);
  return found == measures.end() ? "" : found->second;
}

bool uncountable(const std::string& thing) {
  static const std::set<std::string> rest = {"broccoli", "sun", "moon", "rainbow", "sign"};
  return rest.contains(thing) || plural_only(thing) || !measure_of(thing).empty();
}

std::string with_article(const std::string& words) {
  const bool vowel = std::string("aeiou").find(words[0]) != std::string::npos;
  return (vowel || words.starts_with("hour") ? "an " : "a ") + words;
}

}  // namespace longhand
