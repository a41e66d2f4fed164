// train/scene_truth: each thing of a scene is marked once, in the cell that holds its middle.
#include "train/scene_truth.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/random.h"

using namespace longhand;

TEST_CASE("each thing's middle is marked in its own cell, which says what stands there") {
  const World world("small");
  const SceneDetectorConfig config = naming({}, world);
  const int side = config.side();
  int on_edges = 0;
  for (std::uint64_t i = 0; i < 200; ++i) {
    Random random({5, i});
    const Scene scene = world.sample_with_held_out(random);
    SceneTruthMaker maker(config, world, 1);
    maker.add(scene);
    const SceneTruth truth = maker.truth();

    std::set<int> expected;
    for (const Box& box : world.boxes(scene)) {
      const double x = box.centre * side, y = (box.base - box.height / 2) * side;
      on_edges += std::abs(x - std::round(x)) < 1e-6 || std::abs(y - std::round(y)) < 1e-6 ? 1 : 0;
      const int cell = static_cast<int>(y) * side + static_cast<int>(x);
      expected.insert(cell);
      const at::Tensor rows = (truth.cells == cell).nonzero();
      REQUIRE(rows.size(0) == 1);
      const auto row = rows[0][0].item<std::int64_t>();
      const Figure& figure = scene.figures[static_cast<std::size_t>(box.figure)];
      CHECK(config.things[static_cast<std::size_t>(truth.thing[row].item<std::int64_t>())] ==
            figure.thing);
      const auto colour = static_cast<std::size_t>(truth.colour[row].item<std::int64_t>());
      CHECK((colour == config.colours.size() ? "" : config.colours[colour]) == figure.colour);
      CHECK(truth.box[row][0].item<double>() ==
            doctest::Approx((x - std::floor(x) - 0.5) / side).epsilon(1e-4));
      CHECK(truth.box[row][1].item<double>() ==
            doctest::Approx((y - std::floor(y) - 0.5) / side).epsilon(1e-4));
    }
    std::set<int> marked;
    const at::Tensor ones = (truth.middle[0].flatten() == 1).nonzero().flatten();
    for (std::int64_t k = 0; k < ones.size(0); ++k) {
      marked.insert(static_cast<int>(ones[k].item<std::int64_t>()));
    }
    CHECK(marked == expected);
    CHECK(config.places[static_cast<std::size_t>(truth.place[0].item<std::int64_t>())] ==
          scene.place);
  }
  CHECK(on_edges > 50);  // on the small world's grid most middles lie there
}
