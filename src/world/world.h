// Scenes composed from sprites, of which everything is known: picture, scene graph, short and
// descriptive caption.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/random.h"
#include "io/image.h"

namespace longhand {

class SpriteSet;

/// One kind of thing in a scene.
struct Figure {
  std::string thing;   // "dog"; a name of World::things()
  std::string colour;  // "" as the sprite is, or one of World::colours()
  int count = 1;       // 1…4
};

/// All that is known about a picture.
struct Scene {
  std::vector<Figure> figures;  // one or two
  // "" for one figure; else first RELATION second: one of World::relations().
  std::string relation;
  std::string style;         // one of World::styles()
  std::string place;         // one of World::places()
  std::string size;          // "small", "medium" or "large"
  std::uint64_t layout = 0;  // seed of what the words leave open: exact positions, clouds, flips
};

class World {
 public:
  /// Loads the sprite set under data/sprites. Throws not_found, corrupt.
  World();
  ~World();

  const std::vector<std::string>& things() const;
  const std::vector<std::string>& styles() const;
  const std::vector<std::string>& places() const;
  const std::vector<std::string>& colours() const;
  /// "left of", "right of", "next to", "on", "under", "above", "below", "in front of", "behind".
  static const std::vector<std::string>& relations();

  /// A scene for training: never one that is held out.
  Scene sample(Random& random) const;
  /// Pairs of things, and of a thing and a colour, that are kept for testing: about one in twenty.
  static bool held_out(const Scene& scene);
  /// RGB, size×size. Deterministic; thread-safe; sprites rasterised once and kept.
  Image draw(const Scene& scene, int size) const;
  /// As a person types: "a red car", "two dogs", "a cat on top of a table".
  std::string short_caption(const Scene& scene, Random& random) const;
  /// Everything: things, counts, colours, sizes, relation, place, style; at most 77 CLIP tokens,
  /// finished sentences.
  std::string descriptive_caption(const Scene& scene, Random& random) const;
  static nlohmann::json graph(const Scene& scene);
  static Scene from_graph(const nlohmann::json& graph);

 private:
  Scene any_scene(Random& random) const;

  std::unique_ptr<const SpriteSet> sprites_;
  std::vector<std::string> places_;
};

}  // namespace longhand
