// Captions of scenes: short ones as people type them, and descriptive ones that say everything.
#include <fmt/format.h>

#include <array>
#include <cctype>

#include "world/layout.h"
#include "world/places.h"
#include "world/world.h"

namespace longhand {
namespace {

std::string plural(const std::string& thing) {
  if (thing == "sheep" || thing == "fish") {
    return thing;
  }
  if (thing == "mouse") {
    return "mice";
  }
  if (thing == "wine glass" || thing == "octopus" || thing == "bus") {
    return thing + "es";
  }
  if (thing.ends_with("ch") || thing.ends_with("sh") || thing.ends_with("x")) {
    return thing + "es";
  }
  if (thing.ends_with("y") && thing != "monkey" && thing != "donkey" && thing != "key") {
    return thing.substr(0, thing.size() - 1) + "ies";
  }
  return thing.ends_with("s") ? thing : thing + "s";
}

std::string article(const std::string& noun) {
  return std::string("aeiou").find(noun[0]) != std::string::npos ? "an" : "a";
}

/// "a red car", "two dogs", "one cat" where counts are spelled out.
std::string phrase(const Figure& figure, const std::string& adjective, bool spell_one) {
  static constexpr std::array words = {"zero", "one", "two", "three", "four"};
  std::string noun = figure.count == 1 ? figure.thing : plural(figure.thing);
  if (!figure.colour.empty()) {
    noun = figure.colour + " " + noun;
  }
  if (!adjective.empty()) {
    noun = adjective + " " + noun;
  }
  if (figure.count == 1 && !spell_one) {
    return (figure.thing == "grapes" || figure.thing == "cherries" ? "" : article(noun) + " ") + noun;
  }
  return std::string(words[static_cast<std::size_t>(figure.count)]) + " " + noun;
}

std::string relation_words(const std::string& relation, Random& random) {
  const auto either = [&](std::initializer_list<const char*> choices) {
    return std::string(random.pick(std::vector<const char*>(choices)));
  };
  if (relation == "left of") {
    return either({"to the left of", "on the left of", "left of"});
  }
  if (relation == "right of") {
    return either({"to the right of", "on the right of", "right of"});
  }
  if (relation == "on") {
    return either({"on top of", "on top of", "on"});
  }
  if (relation == "under") {
    return either({"underneath", "under"});
  }
  return relation;
}

std::string style_words(const std::string& style) {
  return style == "shaded" ? "with soft shading"
                           : style == "flat" ? "in a flat style" : "with bold outlines";
}

std::string capitalised(std::string text) {
  text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text;
}

}  // namespace

std::string World::short_caption(const Scene& scene, Random& random) const {
  const Figure& first = scene.figures[0];
  const Place& place = place_named(scene.place);
  std::string text;
  if (scene.figures.size() == 1) {
    const bool spelled = first.count == 1 && random.chance(0.15);
    text = phrase(first, random.chance(0.15) ? scene.size : "", spelled);
    if (!first.colour.empty() && first.count == 1 && !spelled && random.chance(0.3)) {
      text = fmt::format("{} {} colored {}", article(first.colour), first.colour, first.thing);
    }
  } else {
    const Figure& second = scene.figures[1];
    const bool counted = first.count + second.count > 2;
    const std::string a = phrase(first, "", counted), b = phrase(second, "", counted);
    text = scene.relation == "next to" && (counted || random.chance(0.7))
               ? a + " and " + b
               : a + " " + relation_words(scene.relation, random) + " " + b;
  }
  if (random.chance(0.4)) {
    text += " " + std::string(random.chance(0.6) ? place.short_name : place.name);
  }
  if (random.chance(0.1)) {
    text += ", " + style_words(scene.style);
  }
  if (random.chance(0.5)) {
    text = capitalised(text);
  }
  return random.chance(0.5) ? text + "." : text;
}

std::string World::descriptive_caption(const Scene& scene, Random& random) const {
  const Figure& first = scene.figures[0];
  const Place& place = place_named(scene.place);
  std::string text;
  if (scene.figures.size() == 1) {
    const std::string size = first.count == 1 ? scene.size : "";
    text = phrase(first, size == "medium" ? "medium sized" : size, false);
    text += fmt::format(" {}, drawn {}. ", place.name, style_words(scene.style));
    text += first.count == 1
                ? fmt::format("the {} is {} of the picture", first.thing,
                              position_of(scene, *sprites_))
                : fmt::format("the {} are side by side", plural(first.thing));
    if (first.count == 4) {
      text.replace(text.rfind("side by side"), 12, "in two rows");
    }
  } else {
    const Figure& second = scene.figures[1];
    const bool counted = first.count + second.count > 2;
    text = fmt::format("{} {} {} {}, drawn {}", phrase(first, "", counted),
                       relation_words(scene.relation, random), phrase(second, "", counted),
                       place.name, style_words(scene.style));
    if (!first.colour.empty() && !counted) {
      text += fmt::format(". the {} is {} and the {} is {}", first.thing, first.colour,
                          second.thing, second.colour);
    }
  }
  return text + ", and " + place.detail + ".";
}

}  // namespace longhand
