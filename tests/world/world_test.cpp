// world/: scenes are reproducible, their captions fit and tell the truth, held-out pairs stay out.
#include <doctest/doctest.h>

#include "text/clip_tokenizer.h"
#include "world/layout.h"
#include "world/world.h"

using namespace longhand;

TEST_CASE("the world is as large as it says") {
  const World world;
  CHECK(world.things().size() >= 80);
  CHECK(world.styles().size() == 3);
  CHECK(world.places().size() >= 10);
  CHECK(world.colours().size() == 11);
}

TEST_CASE("scenes: captions fit, name what is there, and nothing held out is shown") {
  const World world;
  const auto tokenizer = ClipTokenizer::shared();
  for (std::uint64_t i = 0; i < 3000; ++i) {
    Random random({9, i});
    const Scene scene = world.sample(random);
    REQUIRE_FALSE(World::held_out(scene));
    const std::string text = world.descriptive_caption(scene, random);
    const std::string brief = world.short_caption(scene, random);
    CHECK(tokenizer->count(text) <= 77);
    CHECK(text.back() == '.');
    for (const Figure& figure : scene.figures) {
      const std::string stem = figure.thing.substr(0, 3);  // "mouse" may be "mice" when there are more
      if (figure.thing != "mouse") {
        CHECK(text.find(stem) != std::string::npos);
      }
      CHECK(text.find(figure.colour) != std::string::npos);
    }
    CHECK(text.find(scene.place) != std::string::npos);
    CHECK(tokenizer->count(brief) < 40);
  }
}

TEST_CASE("boxes are where the relation says") {
  const SpriteSet sprites;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Scene scene{{{"cat", "", 1}, {"dog", "", 1}}, "left of", "flat", "on a green meadow", "large", seed};
    const auto box_of = [&](int figure) {
      for (const Box& box : lay_out(scene, sprites)) {
        if (box.figure == figure) {
          return box;
        }
      }
      return Box{};
    };
    CHECK(box_of(0).centre < box_of(1).centre);
    scene.relation = "right of";
    CHECK(box_of(0).centre > box_of(1).centre);
    scene.relation = "on";
    CHECK(box_of(0).base < box_of(1).base);
    scene.relation = "below";
    CHECK(box_of(0).base > box_of(1).base);
    scene.relation = "behind";
    CHECK(lay_out(scene, sprites)[0].figure == 0);  // painted first
  }
}

TEST_CASE("a scene is drawn the same from its graph") {
  const World world;
  for (std::uint64_t i = 0; i < 20; ++i) {
    Random random({5, i});
    const Scene scene = world.sample(random);
    const Image image = world.draw(scene, 64);
    CHECK(image.pixels == world.draw(World::from_graph(World::graph(scene)), 64).pixels);
  }
}
