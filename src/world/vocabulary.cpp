#include "world/vocabulary.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"

namespace longhand {
namespace {

/// [["dog", 2], ["cat", 1]] → dog, dog, cat.
std::vector<std::string> repeated(const nlohmann::json& weighted) {
  std::vector<std::string> names;
  for (const auto& [name, weight] :
       weighted.get<std::vector<std::pair<std::string, std::size_t>>>()) {
    names.insert(names.end(), std::min<std::size_t>(weight, 100), name);
  }
  return names;
}

std::string all_worlds(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    names.push_back(entry.path().stem().string());
  }
  std::ranges::sort(names);
  return fmt::format("{}", fmt::join(names, ", "));
}

/// Without these no scene could be drawn from it.
void check(const Vocabulary& v, const fs::path& path) {
  if (v.things.size() < 2 || v.styles.empty() || v.places.empty() || v.relations.empty()) {
    fail(Kind::corrupt, "{}: a world has two things or more, a style, a place and a relation",
         path.string());
  }
  constexpr int coarsest = 16, finest = 64;
  if (v.grid < 0 || v.grid > finest || v.grid % coarsest != 0) {
    fail(Kind::corrupt, "{}: \"grid\" is a multiple of {} up to {}, or 0 for none; got {}",
         path.string(), coarsest, finest, v.grid);
  }
  for (const double share : {v.sign_share, v.coloured_share}) {
    if (!(share >= 0 && share <= 1)) {
      fail(Kind::corrupt, "{}: \"sign_share\" and \"coloured_share\" lie within 0 and 1; got {}",
           path.string(), share);
    }
  }
  const auto fits_a_small_sign = [](const std::string& word) {
    return word.size() <= Vocabulary::short_word;
  };
  if (!v.words.empty() && (std::ranges::find(v.things, "sign") == v.things.end() ||
                           std::ranges::none_of(v.words, fits_a_small_sign))) {
    fail(Kind::corrupt, "{}: words need the thing \"sign\", and one of them at most {} letters",
         path.string(), Vocabulary::short_word);
  }
}

}  // namespace

Vocabulary Vocabulary::load(const std::string& world) {
  const fs::path folder = home() / "data" / "worlds", path = folder / (world + ".json");
  if (fs::path(world).filename() != world || !fs::exists(path)) {
    fail(Kind::not_found, "there is no world \"{}\"; there are {}", world, all_worlds(folder));
  }
  try {
    const auto json = nlohmann::json::parse(read_file(path));
    Vocabulary v;
    json.at("things").get_to(v.things);
    json.at("styles").get_to(v.styles);
    json.at("places").get_to(v.places);
    json.at("weather").get_to(v.weather);
    json.at("words").get_to(v.words);
    json.at("avoid").get_to(v.avoid);
    json.at("held_out").get_to(v.held_out);
    v.grid = json.value("grid", 0);
    v.sign_share = json.value("sign_share", v.sign_share);
    v.coloured_share = json.value("coloured_share", v.coloured_share);
    v.relations = repeated(json.at("relations"));
    for (const auto& [name, places] : json.at("usual_places").items()) {
      v.usual_places_[name] = repeated(places);
    }
    check(v, path);
    return v;
  } catch (const nlohmann::json::exception& error) {
    fail(Kind::corrupt, "{}: {}; compare it with data/worlds/small.json", path.string(),
         error.what());
  }
}

const std::vector<std::string>& Vocabulary::usual_places(const std::string& thing,
                                                         const std::string& kind) const {
  for (const std::string& name : {thing, kind}) {
    if (const auto found = usual_places_.find(name);
        found != usual_places_.end() && !found->second.empty()) {
      return found->second;
    }
  }
  return places;
}

}  // namespace longhand
