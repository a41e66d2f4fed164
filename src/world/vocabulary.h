// What a world is made of: things, styles, places and how often they meet, from
// data/worlds/NAME.json.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace longhand {

struct Vocabulary {
  /// Letters of a word that a sign beside another figure has room for.
  static constexpr std::size_t short_word = 5;

  std::vector<std::string> things, styles, places;
  std::vector<std::string> weather;    // of places out of doors, beside clear; may be empty
  std::vector<std::string> words;      // written on signs; may be empty
  std::vector<std::string> relations;  // as drawn from: the likelier ones more than once
  /// Colours and places in which a thing of that colour could not be seen.
  std::set<std::pair<std::string, std::string>> avoid;
  /// Which combinations have a share that is held out: "colour" of a thing, "pair" of things,
  /// "count" of a thing, thing and "place", thing and "style", "word" and place.
  std::set<std::string> held_out;
  /// Cells a side that things stand on (world/grid_layout.h); 0: anywhere.
  int grid = 0;
  /// Of all scenes: those whose first or second thing is made a sign (of words), and those whose
  /// things are all in colours of the scene's own choice.
  double sign_share = 0.09, coloured_share = 0.45;

  /// Throws not_found naming the worlds that there are, corrupt naming the file.
  static Vocabulary load(const std::string& world);

  /// Places where a thing is mostly met, the likelier ones more than once: its own, or its kind's.
  const std::vector<std::string>& usual_places(const std::string& thing,
                                               const std::string& kind) const;

 private:
  std::map<std::string, std::vector<std::string>> usual_places_;  // of a thing or a kind
};

}  // namespace longhand
