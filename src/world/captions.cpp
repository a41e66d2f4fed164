// Captions of scenes: short ones as people type them, and descriptive ones that say everything.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

#include "world/layout.h"
#include "world/nouns.h"
#include "world/phrases.h"
#include "world/places.h"
#include "world/weather.h"
#include "world/world.h"

namespace longhand {
namespace {

/// Takes the verb "are".
bool many(const Figure& figure) { return figure.count > 1 || plural_only(figure.thing); }

const char* be(const Figure& figure) { return many(figure) ? "are" : "is"; }

std::string said(const std::string& relation, Random& random) {
  const std::vector<std::string>& ways = relation_words(relation);
  return ways.size() == 1 ? ways.front() : random.pick(ways);
}

/// A figure's phrase with the word that is written on it, if any.
std::string spoken(const Figure& figure, Random& random, const std::string& adjective = "",
                   bool spell_one = false) {
  const std::string text = phrase(figure, adjective, spell_one);
  if (figure.text.empty()) {
    return text;
  }
  return text + " " +
         fmt::format(fmt::runtime(one_of(random, {"that says \"{}\"", "that says {}",
                                                  "with the word \"{}\" on it", "reading \"{}\""})),
                     figure.text);
}

std::string in_weather(const Scene& scene) {
  return scene.weather.empty() ? "" : " " + scene.weather;
}

std::string capitalised(std::string text) {
  text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text;
}

/// "A red colored car", as DrawBench asks for colours.
std::string coloured_phrase(const Figure& figure, Random& random) {
  return with_article(fmt::format(
      "{} {} {}", figure.colour, one_of(random, {"colored", "colored", "coloured"}), figure.thing));
}

bool counted(const Scene& scene) {
  return scene.figures.size() == 2 && scene.figures[0].count + scene.figures[1].count > 2;
}

std::string short_pair(const Scene& scene, Random& random) {
  const std::string a = spoken(scene.figures[0], random, "", counted(scene));
  const std::string b = spoken(scene.figures[1], random, "", counted(scene));
  const bool plain = scene.relation == "next to" && (counted(scene) || random.chance(0.75));
  return plain ? a + " and " + b : a + " " + said(scene.relation, random) + " " + b;
}

std::string short_single(const Scene& scene, Random& random) {
  const Figure& figure = scene.figures[0];
  if (!figure.text.empty()) {
    return spoken(figure, random);
  }
  const bool plain =
      figure.count == 1 && measure_of(figure.thing).empty() && !plural_only(figure.thing);
  if (plain && !figure.colour.empty() && random.chance(0.3)) {
    return coloured_phrase(figure, random);
  }
  if (plain && random.chance(0.06)) {
    return figure.colour.empty() ? figure.thing : figure.colour + " " + figure.thing;
  }
  const bool sized = random.chance(0.15) && figure.count == 1 && scene.size != "medium";
  return phrase(figure, sized ? scene.size : "", plain && random.chance(0.1));
}

/// How two figures are placed, beyond the relation's own words; "" where those say all.
std::string sides(const Scene& scene, const World& world) {
  const Figure &a = scene.figures[0], &b = scene.figures[1];
  if (stand_side_by_side(scene.relation)) {
    const std::vector<Box> boxes = world.boxes(scene);
    return fmt::format("The {} {} {} and the {} {} {}. ", named(a), be(a), position_of(boxes, 0),
                       named(b), be(b), position_of(boxes, 1));
  }
  return "";
}

std::string colours_again(const Scene& scene) {
  const Figure &a = scene.figures[0], &b = scene.figures[1];
  if (!a.colour.empty() && !b.colour.empty()) {
    return fmt::format("The {} {} {} and the {} {} {}. ", named(a), be(a), a.colour, named(b),
                       be(b), b.colour);
  }
  const Figure& one = a.colour.empty() ? b : a;
  return one.colour.empty() ? "" : fmt::format("The {} {} {}. ", named(one), be(one), one.colour);
}

std::string arrangement(const Scene& scene, const World& world) {
  const Figure& figure = scene.figures[0];
  if (figure.count == 1) {
    return fmt::format("The {} {} {} of the picture. ", named(figure), be(figure),
                       position_of(world.boxes(scene)));
  }
  const auto [lowest, highest] =
      std::ranges::minmax(world.boxes(scene), {}, [](const Box& box) { return box.base; });
  const bool rows = highest.base - lowest.base > 0.1;
  return fmt::format("The {} {} are {}. ",
                     figure.count == 2   ? "two"
                     : figure.count == 3 ? "three"
                                         : "four",
                     named(figure), rows ? "in two rows" : "side by side");
}

}  // namespace

std::string World::short_caption(const Scene& scene, Random& random) const {
  const Place& place = place_named(scene.place);
  std::string text =
      scene.figures.size() == 1 ? short_single(scene, random) : short_pair(scene, random);
  const bool usual =
      scene.place == "on a plain white background" || scene.place == "on a green meadow";
  if (random.chance(usual ? 0.3 : 0.5)) {
    const bool sits = sprites_->kind(scene.figures[0].thing) == "animal" &&
                      std::string(place.short_name).starts_with("on ") && random.chance(0.3);
    text += (sits ? one_of(random, {" sitting ", " standing "}) : " ") +
            std::string(random.chance(0.6) ? place.short_name : place.name);
  }
  if (!scene.weather.empty() && random.chance(0.6)) {
    text += in_weather(scene);
  }
  if (random.chance(0.08)) {
    text = one_of(random, {"an illustration of ", "a picture of ", "a drawing of "}) + text;
  }
  if (random.chance(0.08)) {
    text += ", " + style_words(scene.style, random);
  }
  if (random.chance(0.6)) {
    text = capitalised(text);
  }
  return random.chance(0.5) ? text + "." : text;
}

std::string World::descriptive_caption(const Scene& scene, Random& random) const {
  const Place& place = place_named(scene.place);
  const std::string style = style_words(scene.style, random);
  std::string text;
  if (scene.figures.size() == 1) {
    const Figure& figure = scene.figures[0];
    const std::string size = figure.count > 1         ? ""
                             : scene.size == "medium" ? "medium sized"
                                                      : scene.size;
    text = fmt::format("{} {}{}, {}. {}", spoken(figure, random, size), place.name,
                       in_weather(scene), style, arrangement(scene, *this));
  } else {
    const bool spelled = counted(scene);
    const std::string first = spoken(scene.figures[0], random, "", spelled);
    const std::string relation = said(scene.relation, random);
    const std::string second = spoken(scene.figures[1], random, "", spelled);
    text =
        fmt::format("{} {} {} {}{}, {}. {}", first, relation, second, place.name, in_weather(scene),
                    style, random.chance(0.5) ? sides(scene, *this) : colours_again(scene));
  }
  const auto& details =
      scene.weather.empty() ? place.details : weather_named(scene.weather).details;
  return capitalised(text) + random.pick(details);
}

}  // namespace longhand
