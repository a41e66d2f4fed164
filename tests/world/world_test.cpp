// world/: scenes are reproducible, their captions fit and tell the truth, held-out pairs stay out.
#include "world/world.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "core/files.h"
#include "text/clip_tokenizer.h"
#include "world/layout.h"

using namespace longhand;

namespace {

bool mentions(const std::string& text, const std::string& word) {
  return text.find(word) != std::string::npos;
}

/// The words a caption must have for a figure: its name, or its plural's stem.
std::string stem(const Figure& figure) {
  if (figure.thing == "mouse" && figure.count > 1) {
    return "mice";
  }
  return figure.thing.ends_with("y") ? figure.thing.substr(0, figure.thing.size() - 1)
                                     : figure.thing;
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

Scene pair_of(const std::string& first, const std::string& relation, const std::string& second,
              std::uint64_t layout) {
  return {
      {{first, "", 1}, {second, "", 1}}, relation, "flat", "on a green meadow", "large", layout};
}

}  // namespace

TEST_CASE("the world is as large as it says") {
  const World world;
  CHECK(world.things().size() >= 80);
  CHECK(world.styles().size() == 3);
  CHECK(world.places().size() >= 10);
  CHECK(world.colours().size() == 11);
}

TEST_CASE("each thing is there in each style, and takes each colour") {
  const SpriteSet sprites;
  for (const std::string& thing : sprites.things()) {
    std::set<std::vector<float>> looks;
    for (const std::string& style : sprites.styles()) {
      const Sprite sprite = sprites.drawn(thing, style, "", 40, 40);
      CHECK(sprite.width == 40);
      CHECK(sprite.height == 40);
      const auto opaque = std::ranges::count_if(sprite.pixels, [](float x) { return x > 0.5F; });
      CHECK_MESSAGE(opaque > 100, thing << " " << style);
      looks.insert(sprite.pixels);
    }
    CHECK_MESSAGE(looks.size() == 3, thing << " looks the same in two styles");
  }
  for (const std::string& thing : {"car", "dog", "panda", "book", "apple", "cell phone"}) {
    std::set<std::vector<float>> looks;
    for (const std::string& colour : colour_words()) {
      looks.insert(sprites.drawn(thing, "shaded", colour, 40, 40).pixels);
    }
    CHECK_MESSAGE(looks.size() == 11, thing);
  }
}

TEST_CASE("a recoloured body has the colour's hue, and other parts keep theirs") {
  Sprite sprite(3, 1);  // a body of two red pixels, and a green leaf
  const float pixels[12] = {0.8F, 0.1F, 0.1F, 1, 0.9F, 0.2F, 0.2F, 1, 0.1F, 0.7F, 0.2F, 1};
  std::copy_n(pixels, 12, sprite.pixels.begin());
  const Body body = find_body(sprite);
  CHECK(body.hues.size() == 1);
  recolour(sprite, body, "blue");
  for (int x = 0; x < 2; ++x) {
    CHECK(sprite.at(x, 0)[2] > sprite.at(x, 0)[0] + 0.2F);
    CHECK(sprite.at(x, 0)[2] > sprite.at(x, 0)[1] + 0.2F);
  }
  CHECK(sprite.at(1, 0)[1] > sprite.at(0, 0)[1]);  // the lighter one stays the lighter one
  for (int c = 0; c < 3; ++c) {
    CHECK(sprite.at(2, 0)[c] == doctest::Approx(pixels[8 + c]).epsilon(0.01));
  }
  CHECK_THROWS_AS(recolour(sprite, body, "mauve"), Error);
}

TEST_CASE("sprites name their source, author and licence") {
  for (const char* style : {"shaded", "flat"}) {
    const auto json = nlohmann::json::parse(
        read_file(home() / "data" / "sprites" / (std::string(style) + ".json")));
    const auto readme = read_file(home() / "data" / "sprites" / "README.md");
    const auto notice = read_file(home() / "NOTICE");
    for (const char* key : {"source", "author", "licence"}) {
      const auto value = json.at(key).get<std::string>();
      CHECK_FALSE(value.empty());
      CHECK_MESSAGE(mentions(readme, value), value);
    }
    CHECK(mentions(notice, json.at("licence").get<std::string>()));
  }
}

TEST_CASE("scenes: captions fit, name what is there, and nothing held out is shown") {
  const World world;
  const auto tokenizer = ClipTokenizer::shared();
  std::set<std::string> seen;
  static const char* counts[] = {"", "", "two ", "three ", "four "};
  for (std::uint64_t i = 0; i < 6000; ++i) {
    Random random({9, i});
    const Scene scene = world.sample(random);
    REQUIRE_FALSE(World::held_out(scene));
    const std::string caption = world.descriptive_caption(scene, random);
    const std::string brief = lower(world.short_caption(scene, random));
    const std::string text = lower(caption);
    INFO(caption << " / " << brief);
    CHECK(tokenizer->count(caption) <= 77);
    CHECK(tokenizer->count(brief) < 40);
    CHECK(caption.back() == '.');
    const auto words = std::ranges::count(caption, ' ') + 1;
    CHECK(words >= 14);
    CHECK(words <= 60);
    for (const Figure& figure : scene.figures) {
      for (const std::string& said : {text, brief}) {
        CHECK(mentions(said, stem(figure)));
        CHECK(mentions(said, figure.colour));
        CHECK(mentions(said, counts[figure.count]));
      }
      seen.insert(figure.thing);
      seen.insert("colour " + figure.colour);  // "orange" is a thing, too
    }
    CHECK(mentions(text, scene.place));
    CHECK(mentions(text, scene.style == "shaded" ? "shad" : scene.style));
    if (scene.figures.size() == 1 && scene.figures[0].count == 1) {
      CHECK(mentions(text, scene.size));
    }
    seen.insert(scene.place);
    seen.insert(scene.style);
    seen.insert("relation " + scene.relation);
  }
  // All things, colours, places, styles and relations are met, and "" for no colour or relation.
  CHECK(seen.size() == world.things().size() + world.colours().size() + world.places().size() +
                           world.styles().size() + World::relations().size() + 2);
}

TEST_CASE("about one in twenty combinations is held out, whichever figure is first") {
  const World world;
  int held = 0, all = 0;
  for (const std::string& a : world.things()) {
    for (const std::string& b : world.things()) {
      if (a != b) {
        const bool one = World::held_out(pair_of(a, "on", b, 0));
        CHECK(one == World::held_out(pair_of(b, "left of", a, 1)));
        held += one;
        ++all;
      }
    }
  }
  CHECK(held > all * 0.04);
  CHECK(held < all * 0.06);
}

TEST_CASE("boxes lie within the picture, and do not cover one another") {
  const World world;
  const SpriteSet sprites;
  for (std::uint64_t i = 0; i < 4000; ++i) {
    Random random({11, i});
    const Scene scene = world.sample(random);
    INFO(World::graph(scene).dump());
    const std::vector<Box> boxes = lay_out(scene, sprites);
    int expected = 0;
    for (const Figure& figure : scene.figures) {
      expected += figure.count;
    }
    REQUIRE(static_cast<int>(boxes.size()) == expected);
    for (std::size_t a = 0; a < boxes.size(); ++a) {
      CHECK(boxes[a].left() >= 0.02);
      CHECK(boxes[a].right() <= 0.98);
      CHECK(boxes[a].top() >= 0.02);
      CHECK(boxes[a].base <= 0.98);
      const bool stacked = scene.figures.size() == 2 && !stand_side_by_side(scene.relation);
      for (std::size_t b = 0; b < a && !stacked; ++b) {
        const double wide = std::min(boxes[a].right(), boxes[b].right()) -
                            std::max(boxes[a].left(), boxes[b].left());
        const double high =
            std::min(boxes[a].base, boxes[b].base) - std::max(boxes[a].top(), boxes[b].top());
        CHECK((wide < 0.02 || high < 0.05));  // countable
      }
    }
  }
}

TEST_CASE("boxes are where the relation says") {
  const World world;
  const SpriteSet sprites;
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    Random random({seed, 12});
    const std::string a = random.pick(world.things()), b = random.pick(world.things());
    const std::string relation = random.pick(World::relations());
    const auto boxes = lay_out(pair_of(a, relation, b, seed), sprites);
    const auto box_of = [&](int figure) { return boxes[boxes[0].figure == figure ? 0 : 1]; };
    const Box first = box_of(0), second = box_of(1);
    INFO(a << " " << relation << " " << b);
    if (relation == "left of") {
      CHECK(first.right() <= second.left() + 0.02);
    } else if (relation == "right of") {
      CHECK(first.left() >= second.right() - 0.02);
    } else if (relation == "above") {
      CHECK(first.base < second.top());
    } else if (relation == "below") {
      CHECK(first.top() > second.base);
    } else if (relation == "on") {
      CHECK(first.base >= second.top());
      CHECK(first.base < second.top() + second.height / 2 + 0.021);
      CHECK(std::abs(first.centre - second.centre) < 0.05);
    } else if (relation == "under") {
      CHECK(second.base >= first.top());
      CHECK(second.base < first.top() + first.height / 2 + 0.021);
    } else if (relation == "behind" || relation == "in front of") {
      CHECK(boxes[0].figure == (relation == "behind" ? 0 : 1));  // painted first
      CHECK(boxes[0].base < boxes[1].base);
      CHECK(std::min(first.right(), second.right()) > std::max(first.left(), second.left()));
    }
  }
}

TEST_CASE("a scene is drawn the same from its graph, at any size") {
  const World world;
  for (std::uint64_t i = 0; i < 20; ++i) {
    Random random({5, i});
    const Scene scene = world.sample(random);
    for (const int size : {32, 64, 128}) {
      const Image image = world.draw(scene, size);
      CHECK(image.width == size);
      CHECK(image.height == size);
      CHECK(image.pixels == world.draw(World::from_graph(World::graph(scene)), size).pixels);
    }
  }
}

TEST_CASE("what is not of the world is said, not drawn") {
  const World world;
  const auto refused = [&](Scene scene) { CHECK_THROWS_AS(world.draw(scene, 32), Error); };
  refused(pair_of("unicorn", "on", "dog", 0));
  refused(pair_of("cat", "inside", "dog", 0));
  Scene scene = pair_of("cat", "on", "dog", 0);
  scene.place = "on the moon";
  refused(scene);
  scene = pair_of("cat", "on", "dog", 0);
  scene.style = "cubist";
  refused(scene);
  scene = pair_of("cat", "on", "dog", 0);
  scene.figures[0].count = 5;
  refused(scene);
  scene.figures[0].count = 2;  // groups do not rest on one another
  refused(scene);
  scene.figures.clear();
  refused(scene);
  CHECK_THROWS_AS(World::from_graph({{"figures", 3}}), Error);
}
