#include "train/scene_truth.h"

#include <algorithm>
#include <cmath>

namespace longhand {
namespace {

constexpr double spread = 0.8;         // of a middle's mark, in cells: a standard deviation
constexpr double nearest_cells = 1.0;  // cells so near to a middle say what stands there

std::int64_t index_in(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) - names.begin();
}

}  // namespace

SceneDetectorConfig naming(SceneDetectorConfig config, const World& world) {
  config.things = world.things();
  config.colours = World::colours();
  config.words = world.words();
  config.places = world.places();
  config.weather = world.weather();
  config.styles = world.styles();
  return config;
}

SceneTruthMaker::SceneTruthMaker(const SceneDetectorConfig& config, const World& world,
                                 std::int64_t count)
    : config_(config),
      world_(world),
      middle_(at::zeros({count, config.side(), config.side()}, at::kFloat)) {}

void SceneTruthMaker::add(const Scene& scene) {
  const int side = config_.side();
  const std::vector<Box> boxes = world_.boxes(scene);
  for (int cell = 0; cell < side * side; ++cell) {
    const double x = (cell % side + 0.5) / side, y = (cell / side + 0.5) / side;
    const Box* nearest = nullptr;
    double least = 1e9;
    for (const Box& box : boxes) {
      const double distance = std::hypot(box.centre - x, box.base - box.height / 2 - y) * side;
      if (distance <= least) {  // of equally near ones, the one in front
        nearest = &box;
        least = distance;
      }
    }
    // The farther from a middle, the less of one; the cell that holds it is 1, below.
    middle_at(cell) =
        static_cast<float>(std::min(0.99, std::exp(-least * least / (2 * spread * spread))));
    if (least <= nearest_cells) {
      tell(scene.figures[static_cast<std::size_t>(nearest->figure)], *nearest, cell, x, y);
    }
  }
  for (const Box& box : boxes) {
    const auto along = [&](double at) {
      return std::clamp(static_cast<int>(at * side), 0, side - 1);
    };
    middle_at(along(box.base - box.height / 2) * side + along(box.centre)) = 1;
  }
  place_.push_back(index_in(config_.places, scene.place));
  weather_.push_back(index_in(config_.weather, scene.weather));
  style_.push_back(index_in(config_.styles, scene.style));
  ++scenes_;
}

SceneTruth SceneTruthMaker::truth() const {
  return {middle_,
          at::tensor(cells_, at::kLong),
          at::tensor(thing_, at::kLong),
          at::tensor(colour_, at::kLong),
          at::tensor(word_, at::kLong),
          at::tensor(box_, at::kFloat).view({-1, 4}),
          at::tensor(place_, at::kLong),
          at::tensor(weather_, at::kLong),
          at::tensor(style_, at::kLong)};
}

float& SceneTruthMaker::middle_at(int cell) {
  return middle_.mutable_data_ptr<float>()[scenes_ * area() + cell];
}

void SceneTruthMaker::tell(const Figure& figure, const Box& box, int cell, double x, double y) {
  cells_.push_back(scenes_ * area() + cell);
  thing_.push_back(index_in(config_.things, figure.thing));
  colour_.push_back(index_in(config_.colours, figure.colour));
  word_.push_back(index_in(config_.words, figure.text));
  const double middle = box.base - box.height / 2;
  for (const double number : {box.centre - x, middle - y, box.width, box.height}) {
    box_.push_back(static_cast<float>(number));
  }
}

}  // namespace longhand
