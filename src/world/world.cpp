#include "world/world.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "world/layout.h"
#include "world/lettering.h"
#include "world/nouns.h"
#include "world/places.h"
#include "world/sprites.h"
#include "world/vocabulary.h"

namespace longhand {
namespace {

const std::string sign = "sign";  // the thing that bears words
constexpr double weather_share = 0.3;

/// FNV-1a: the same on every machine, unlike std::hash.
std::uint32_t stable_hash(const std::string& text) {
  std::uint32_t hash = 2166136261U;
  for (const char c : text) {
    hash = (hash ^ static_cast<std::uint8_t>(c)) * 16777619U;
  }
  return hash;
}

/// The same of 64 bits, going on from a hash.
std::uint64_t hash_on(std::uint64_t hash, const auto& bytes) {
  for (const auto byte : bytes) {
    hash = (hash ^ static_cast<std::uint8_t>(byte)) * 1099511628211U;
  }
  return hash;
}

void paint_shadow(Raster& canvas, double centre, double base, double width) {
  const double n = canvas.size, rx = width * 0.48 * n, ry = std::max(1.5, rx * 0.16);
  const double cx = centre * n, cy = base * n - ry * 0.3;
  for (int y = static_cast<int>(cy - ry * 1.5); y <= cy + ry * 1.5; ++y) {
    for (int x = static_cast<int>(cx - rx * 1.4); x <= cx + rx * 1.4; ++x) {
      if (x < 0 || y < 0 || x >= canvas.size || y >= canvas.size) {
        continue;
      }
      const double dx = (x + 0.5 - cx) / rx, dy = (y + 0.5 - cy) / ry;
      const double inside = std::clamp(1.35 - std::sqrt(dx * dx + dy * dy), 0.0, 0.7) / 0.7;
      float* p = &canvas.pixels[(static_cast<std::size_t>(y) * canvas.size + x) * 3];
      for (int c = 0; c < 3; ++c) {
        p[c] *= static_cast<float>(1 - 0.32 * inside);
      }
    }
  }
}

int pixels(double share, int size) {
  return std::max(2, static_cast<int>(std::lround(share * size)));
}

void paint_sprite(Raster& canvas, const Sprite& sprite, const Box& box) {
  const int left = static_cast<int>(std::lround(box.centre * canvas.size - sprite.width / 2.0));
  const int top = static_cast<int>(std::lround(box.base * canvas.size)) - sprite.height;
  for (int y = std::max(0, -top); y < sprite.height && y + top < canvas.size; ++y) {
    for (int x = std::max(0, -left); x < sprite.width && x + left < canvas.size; ++x) {
      const int column = box.flipped ? sprite.width - 1 - x : x;
      const float* from = &sprite.pixels[(static_cast<std::size_t>(y) * sprite.width + column) * 4];
      float* into =
          &canvas.pixels[(static_cast<std::size_t>(y + top) * canvas.size + x + left) * 3];
      for (int c = 0; c < 3; ++c) {
        into[c] = from[c] + into[c] * (1 - from[3]);
      }
    }
  }
}

}  // namespace

World::World(const std::string& name)
    : vocabulary_(std::make_unique<Vocabulary>(Vocabulary::load(name))),
      sprites_(std::make_unique<SpriteSet>(vocabulary_->things, vocabulary_->styles)) {}

World::~World() = default;

const std::vector<std::string>& World::things() const { return vocabulary_->things; }
const std::vector<std::string>& World::styles() const { return vocabulary_->styles; }
const std::vector<std::string>& World::places() const { return vocabulary_->places; }
const std::vector<std::string>& World::weather() const { return vocabulary_->weather; }
const std::vector<std::string>& World::words() const { return vocabulary_->words; }
const std::vector<std::string>& World::colours() { return colour_words(); }

const std::vector<std::string>& World::relations() {
  static const std::vector<std::string> relations = {
      "left of", "right of", "next to", "on", "under", "above", "below", "in front of", "behind"};
  return relations;
}

bool World::held_out(const Scene& scene) const {
  const auto chosen = [&](const char* kind, bool applies, const std::string& key) {
    return applies && vocabulary_->held_out.contains(kind) && stable_hash(key) % 20 == 0;
  };
  for (const Figure& f : scene.figures) {
    if (chosen("colour", !f.colour.empty(), f.colour + " " + f.thing) ||
        chosen("count", f.count > 1, fmt::format("{} {}", f.count, f.thing)) ||
        chosen("place", true, f.thing + " " + scene.place) ||
        chosen("style", true, f.thing + " " + scene.style) ||
        chosen("word", !f.text.empty(), f.text + " " + scene.place)) {
      return true;
    }
  }
  return scene.figures.size() == 2 &&
         chosen("pair", true,
                std::min(scene.figures[0].thing, scene.figures[1].thing) + "+" +
                    std::max(scene.figures[0].thing, scene.figures[1].thing));
}

bool World::avoids(const Scene& scene) const {
  return std::ranges::any_of(scene.figures, [&](const Figure& figure) {
    return vocabulary_->avoid.contains({figure.colour, scene.place});
  });
}

/// Makes a figure a sign more often than other things are met, and gives signs their words: shorter
/// ones beside another figure, where there is less room.
void World::put_signs(Scene& scene, Random& random) const {
  if (words().empty()) {
    return;
  }
  const int figures = static_cast<int>(scene.figures.size());
  if (random.chance(vocabulary_->sign_share)) {
    scene.figures[static_cast<std::size_t>(random.below(figures))].thing = sign;
  }
  for (Figure& figure : scene.figures) {
    while (figure.thing == sign &&
           (figure.text.empty() || (figures > 1 && figure.text.size() > Vocabulary::short_word))) {
      figure.text = random.pick(words());
    }
  }
}

/// On a grid there are two sizes; words need large signs.
std::string World::size_of(const Scene& scene, Random& random) const {
  const double size = random.uniform();
  if (size < 0.68 || !scene.figures[0].text.empty()) {
    return "large";
  }
  const bool medium = size < 0.92 || scene.figures.size() > 1;
  return medium && vocabulary_->grid == 0 ? "medium" : "small";
}

Scene World::any_scene(Random& random) const {
  Scene scene;
  const bool pair = random.chance(0.45);
  scene.figures.push_back({random.pick(things()), "", 1});
  if (pair) {
    scene.figures.push_back({random.pick(things()), "", 1});
    scene.relation = random.pick(vocabulary_->relations);
    if (stand_side_by_side(scene.relation) && random.chance(0.3)) {
      const int most = vocabulary_->grid > 0 ? 2 : 3;
      scene.figures[0].count = 1 + random.below(most);
      scene.figures[1].count = 1 + random.below(most);
    }
  } else if (random.chance(0.3)) {
    scene.figures[0].count = 2 + random.below(3);
  }
  put_signs(scene, random);
  const bool coloured = random.chance(vocabulary_->coloured_share);
  for (Figure& figure : scene.figures) {
    if (coloured || random.chance(0.05)) {
      figure.colour = random.pick(colours());
    }
    if (uncountable(figure.thing)) {
      figure.count = 1;
    }
  }
  scene.style = random.pick(styles());
  scene.place = random.chance(0.25)
                    ? random.pick(places())
                    : random.pick(vocabulary_->usual_places(
                          scene.figures[0].thing, sprites_->kind(scene.figures[0].thing)));
  scene.size = size_of(scene, random);
  scene.layout = random();
  if (!weather().empty() && place_named(scene.place).outdoors && random.chance(weather_share)) {
    scene.weather = random.pick(weather());
  }
  return scene;
}

Scene World::sample(Random& random) const {
  for (;;) {
    if (Scene scene = sample_with_held_out(random); !held_out(scene)) {
      return scene;
    }
  }
}

Scene World::sample_with_held_out(Random& random) const {
  for (;;) {
    Scene scene = any_scene(random);
    const bool distinct =
        scene.figures.size() == 1 || scene.figures[0].thing != scene.figures[1].thing;
    if (distinct && !avoids(scene)) {
      return scene;
    }
  }
}

std::vector<Box> World::boxes(const Scene& scene) const {
  return lay_out(scene, *sprites_, vocabulary_->grid);
}

std::uint64_t World::fingerprint() const {
  std::uint64_t hash = 14695981039346656037U;
  for (std::uint64_t i = 0; i < 600; ++i) {
    Random random({7, i});
    const Scene scene = sample(random);
    if (i < 48) {
      hash = hash_on(hash, draw(scene, 128).pixels);
    }
    hash = hash_on(hash, short_caption(scene, random) + "\n");
    hash = hash_on(hash, descriptive_caption(scene, random) + "\n");
  }
  return hash;
}

Image World::draw(const Scene& scene, int size) const {
  Random random({scene.layout, 2});
  Raster canvas = painted(place_named(scene.place), scene.weather, size, random);
  for (const Box& box : boxes(scene)) {
    const Figure& figure = scene.figures[static_cast<std::size_t>(box.figure)];
    Sprite sprite = sprites_->drawn(figure.thing, scene.style, figure.colour,
                                    pixels(box.width, size), pixels(box.height, size));
    if (!figure.text.empty()) {
      write_on_board(sprite, figure.text);
    }
    if (box.shadow) {
      paint_shadow(canvas, box.centre, box.base, box.width);
    }
    paint_sprite(canvas, sprite, box);
  }
  Image image(size, size, 3);
  for (std::size_t i = 0; i < image.pixels.size(); ++i) {
    image.pixels[i] =
        static_cast<std::uint8_t>(std::lround(std::clamp(canvas.pixels[i], 0.0F, 1.0F) * 255.0F));
  }
  return image;
}

nlohmann::json World::graph(const Scene& scene) {
  nlohmann::json figures = nlohmann::json::array();
  for (const Figure& figure : scene.figures) {
    figures.push_back({{"thing", figure.thing},
                       {"colour", figure.colour},
                       {"count", figure.count},
                       {"text", figure.text}});
  }
  return {{"figures", figures},    {"relation", scene.relation}, {"style", scene.style},
          {"place", scene.place},  {"weather", scene.weather},   {"size", scene.size},
          {"layout", scene.layout}};
}

Scene World::from_graph(const nlohmann::json& graph) {
  try {
    Scene scene;
    for (const auto& figure : graph.at("figures")) {
      scene.figures.push_back(
          {figure.at("thing"), figure.at("colour"), figure.at("count"), figure.value("text", "")});
    }
    scene.relation = graph.at("relation");
    scene.style = graph.at("style");
    scene.place = graph.at("place");
    scene.size = graph.at("size");
    scene.layout = graph.at("layout");
    scene.weather = graph.value("weather", "");
    return scene;
  } catch (const nlohmann::json::exception& error) {
    fail(Kind::corrupt, "a scene graph is broken: {}", error.what());
  }
}

}  // namespace longhand
