// Trains the detector of scenes (models/scene_detector.h) on scenes alone, drawn anew at each step,
// what is held out from all other training among them, since it judges just that: a focal loss for
// where middles are (Zhou et al. 2019, equation 1), cross-entropies for what stands there and for
// the whole, absolute differences for boxes.
#include <cmath>

#include "models/config.h"
#include "models/scene_detector.h"
#include "nn/dtype.h"
#include "nn/pictures.h"
#include "train/latents.h"
#include "train/learning.h"
#include "train/ranks.h"
#include "train/recipe.h"
#include "train/scene_truth.h"

namespace longhand {
namespace {

using at::Tensor;

constexpr double first_share = 0.1;      // of cells that an untrained network takes for a middle
constexpr double box_weight = 5;         // boxes are measured in shares of a picture
constexpr std::int64_t held_back = 512;  // scenes of another seed, for the review

struct Batch {
  Tensor pictures;  // [batch, 3, size, size]
  SceneTruth truth;
};

/// Painted pictures are softer than scenes, mottled and noisier, and their outlines waver: three
/// quarters are made so.
Tensor softened(const Tensor& picture, Random& random) {
  if (random.chance(0.25)) {
    return picture;
  }
  const auto noise = [&](at::IntArrayRef shape, double most) {
    return at::randn(shape, at::make_generator<at::CPUGeneratorImpl>(random())) *
           random.uniform(0, most);
  };
  const std::int64_t side = picture.size(2), cell = random.chance(0.5) ? 2 : 4;
  const auto enlarged = [&](const Tensor& small) {
    return at::upsample_bilinear2d(small, {side, side}, false);
  };
  constexpr double most_pixels = 2;
  const Tensor moves = enlarged(noise({1, 2, side / 8, side / 8}, 2 * most_pixels / side));
  const Tensor places =
      at::affine_grid_generator(at::eye(2, 3).unsqueeze(0), {1, 3, side, side}, false) +
      moves.permute({0, 2, 3, 1});
  const Tensor wavering =
      at::grid_sampler(picture.unsqueeze(0), places, /*bilinear*/ 0, /*border*/ 1, false);
  const Tensor soft = enlarged(at::avg_pool2d(wavering, {cell, cell}));
  const Tensor mottles = enlarged(noise({1, 3, side / 4, side / 4}, 0.3));
  const Tensor grain = noise(wavering.sizes(), 0.08);
  return (at::lerp(wavering, soft, random.uniform()) + mottles + grain).squeeze(0);
}

/// Cross-entropy, summed over rows, for each picture.
Tensor choice_loss(const Tensor& logits, const Tensor& truth, std::int64_t pictures) {
  return at::cross_entropy_loss(logits, truth, {}, at::Reduction::Sum) /
         static_cast<double>(pictures);
}

/// The focal loss of middles, for each picture: near middles it costs less to take a cell for one.
Tensor middle_loss(const Tensor& logits, const Tensor& truth) {
  const Tensor sure = logits.sigmoid(), is_middle = (truth == 1).to(at::kFloat);
  const Tensor found = (1 - sure).square() * at::log_sigmoid(logits) * is_middle;
  const Tensor left = (1 - truth).pow(4) * sure.square() * at::log_sigmoid(-logits);
  return -(found + left * (1 - is_middle)).sum() / static_cast<double>(logits.size(0));
}

class DetectorTraining {
 public:
  explicit DetectorTraining(const Recipe& recipe)
      : recipe_(recipe),
        world_(recipe.world),
        config_(config_of(recipe, world_)),
        dtype_(dtype_named(recipe.dtype)),
        weights_(Weights::fresh(recipe.seed)),
        detector_(weights_, config_) {
    Tensor bias = weights_.parameters().at("middle.bias");
    bias.fill_(std::log(first_share / (1 - first_share)));
  }

  std::map<std::string, Tensor> parameters() const { return weights_.parameters(); }

  /// This rank's part of a step's scenes.
  Batch batch(std::int64_t step) const {
    const ranks::Part part = ranks::part_of(recipe_.batch);
    SceneTruthMaker maker(config_, world_, part.count);
    std::vector<Tensor> pictures;
    for (std::int64_t i = 0; i < part.count; ++i) {
      const std::int64_t number = step * recipe_.batch + part.first + i;
      const Scene scene = scene_of(recipe_.seed, number);
      maker.add(scene);
      Random random({recipe_.seed, 2, static_cast<std::uint64_t>(number)});
      pictures.push_back(softened(picture_of(scene), random));
    }
    return {as_input(pictures), maker.truth()};
  }

  double forward_backward(const Batch& batch) const {
    const Tensor loss = loss_of(batch);
    loss.backward();
    return loss.item<double>();
  }

  /// Shares of held-back scenes that are read rightly: all things with their counts, the colours
  /// that were given, words, and the whole.
  Review review() const {
    const c10::AutoGradMode no_grad(false);
    Figures right, all;
    for (std::int64_t first = 0; first < held_back; first += recipe_.batch) {
      std::vector<Scene> scenes;
      std::vector<Tensor> pictures;
      for (std::int64_t i = first; i < std::min(held_back, first + recipe_.batch); ++i) {
        scenes.push_back(scene_of(recipe_.seed + 1, i));
        pictures.push_back(picture_of(scenes.back()));
      }
      const auto readings = detector_.read(as_input(pictures));
      for (std::size_t i = 0; i < scenes.size(); ++i) {
        count_right(scenes[i], readings[i], right, all);
      }
    }
    Figures shares;
    for (const auto& [name, count] : all) {
      shares[name] = right[name] / count;
    }
    return {{}, shares};
  }

  void write_model(const Optimizer& optimizer, const fs::path& model) const {
    save_tensors(model / "model.safetensors", optimizer.averaged(), at::kBFloat16);
    nlohmann::json config = own_config(recipe_);
    config.update({{"_class_name", "SceneDetector"},
                   {"world", recipe_.world},
                   {"things", config_.things},
                   {"colours", config_.colours},
                   {"words", config_.words},
                   {"places", config_.places},
                   {"weather", config_.weather},
                   {"styles", config_.styles}});
    write_file_atomically(model / "config.json", config.dump(1) + "\n");
  }

 private:
  using Figures = std::map<std::string, double>;  // by name, as Review has them

  static nlohmann::json own_config(const Recipe& recipe) {
    auto config = config_value(recipe.config, "config", nlohmann::json::object());
    config["image_size"] = recipe.resolution;
    return config;
  }
  static SceneDetectorConfig config_of(const Recipe& recipe, const World& world) {
    return naming(SceneDetectorConfig::from_json(own_config(recipe)), world);
  }

  Scene scene_of(std::uint64_t seed, std::int64_t number) const {
    Random random({seed, static_cast<std::uint64_t>(number)});
    return world_.sample_with_held_out(random);
  }
  Tensor picture_of(const Scene& scene) const {
    return picture_to_tensor(world_.draw(scene, recipe_.resolution));
  }
  Tensor as_input(const std::vector<Tensor>& pictures) const {
    return at::stack(pictures).to(dtype_).contiguous(at::MemoryFormat::ChannelsLast);
  }

  Tensor loss_of(const Batch& batch) const {
    const SceneMaps maps = detector_.forward(batch.pictures);
    const SceneTruth& truth = batch.truth;
    const std::int64_t pictures = batch.pictures.size(0);
    const auto there = [&](const Tensor& map) {
      return map.permute({0, 2, 3, 1}).flatten(0, 2).index_select(0, truth.cells);
    };
    const Tensor boxes = (there(maps.box) - truth.box).abs().sum() / static_cast<double>(pictures);
    return middle_loss(maps.middle, truth.middle) + box_weight * boxes +
           choice_loss(there(maps.thing), truth.thing, pictures) +
           choice_loss(there(maps.colour), truth.colour, pictures) +
           choice_loss(there(maps.word), truth.word, pictures) +
           choice_loss(maps.place, truth.place, pictures) +
           choice_loss(maps.weather, truth.weather, pictures) +
           choice_loss(maps.style, truth.style, pictures);
  }

  static void count_right(const Scene& scene, const SceneReading& reading, Figures& right,
                          Figures& all) {
    const auto add = [&](const char* name, bool is_right) {
      right[name] += is_right ? 1 : 0;
      all[name] += 1;
    };
    std::map<std::string, int> wanted, found;
    for (const Figure& figure : scene.figures) {
      wanted[figure.thing] += figure.count;
    }
    for (const Detection& each : reading.things) {
      ++found[each.thing];
      for (const Figure& figure : scene.figures) {
        if (figure.thing == each.thing && !figure.colour.empty()) {
          add("colour", each.colour == figure.colour);
        }
        if (figure.thing == each.thing && !figure.text.empty()) {
          add("word", each.word == figure.text);
        }
      }
    }
    add("things", wanted == found);
    add("place", reading.place == scene.place);
    add("weather", reading.weather == scene.weather);
    add("style", reading.style == scene.style);
  }

  const Recipe& recipe_;
  World world_;
  SceneDetectorConfig config_;
  at::ScalarType dtype_;
  Weights weights_;
  SceneDetector detector_;
};

}  // namespace

void train_detector(const Recipe& recipe) { learn<DetectorTraining>(recipe, "detector"); }

}  // namespace longhand
