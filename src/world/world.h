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

struct Box;
class SpriteSet;
struct Vocabulary;

/// One kind of thing in a scene.
struct Figure {
  std::string thing;      // "dog"; a name of World::things()
  std::string colour;     // "" as the sprite is, or one of World::colours()
  int count = 1;          // 1…4
  std::string text = {};  // what is written on a sign, in capital letters; "" on all else
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
  std::string weather = {};  // "" or one of World::weather()
};

class World {
 public:
  /// data/worlds/NAME.json: "small" is what the embedded painter was trained on, "full" all that
  /// can be drawn. Throws not_found, corrupt.
  explicit World(const std::string& name = "small");
  ~World();

  const std::vector<std::string>& things() const;
  const std::vector<std::string>& styles() const;
  const std::vector<std::string>& places() const;
  const std::vector<std::string>& weather() const;
  const std::vector<std::string>& words() const;
  static const std::vector<std::string>& colours();
  /// "left of", "right of", "next to" (which has the first on the left, as people read pictures),
  /// "on", "under", "above", "below", "in front of", "behind".
  static const std::vector<std::string>& relations();
  const SpriteSet& sprites() const { return *sprites_; }

  /// A scene for training: never one that is held out.
  Scene sample(Random& random) const;
  /// A scene of all that there are, for a judge, which must know what is held out as well as all
  /// else.
  Scene sample_with_held_out(Random& random) const;
  /// Combinations that are kept for testing, one in twenty of each kind that the world names: see
  /// Vocabulary::held_out.
  bool held_out(const Scene& scene) const;
  /// Would hide a thing in its place, as white on snow, so that it is never shown.
  bool avoids(const Scene& scene) const;
  /// Where its figures are (world/layout.h), on the world's grid.
  std::vector<Box> boxes(const Scene& scene) const;
  /// RGB, size×size. Deterministic; thread-safe; sprites rasterised once and kept.
  Image draw(const Scene& scene, int size) const;

  /// A hash of what its scenes look like and are said to be, of 48 pictures and 600 captions:
  /// another one is another world under the same name. The same on every machine with the same
  /// librsvg.
  std::uint64_t fingerprint() const;

  // The three captions of DALL·E 3's report (Betker et al. 2023, section 2).
  /// As pictures in the web have it: mostly the main thing alone, noisy, sometimes wrong, sometimes
  /// a file's name.
  std::string alt_text(const Scene& scene, Random& random) const;
  /// The main subject, as a person types: "a red car", "two dogs", "a cat on top of a table".
  std::string short_caption(const Scene& scene, Random& random) const;
  /// Everything: things, counts, colours, sizes, relation, place, weather, style, words on signs;
  /// at most 77 CLIP tokens, finished sentences.
  std::string descriptive_caption(const Scene& scene, Random& random) const;

  static nlohmann::json graph(const Scene& scene);
  static Scene from_graph(const nlohmann::json& graph);

 private:
  Scene any_scene(Random& random) const;
  void put_signs(Scene& scene, Random& random) const;
  std::string size_of(const Scene& scene, Random& random) const;

  std::unique_ptr<const Vocabulary> vocabulary_;
  std::unique_ptr<const SpriteSet> sprites_;
};

}  // namespace longhand
