#include "models/scene_detector.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "models/config.h"

namespace longhand {
namespace {

constexpr int stem = 4;                      // pixels a side of a patch
constexpr double least_score = 0.35;         // of a middle
constexpr double same_thing_overlap = 0.55;  // of two boxes: the surer one counts

int count(const std::vector<std::string>& names) { return static_cast<int>(names.size()); }

ResnetBlock2D::Options resnet(const SceneDetectorConfig& config) {
  return {.groups = config.norm_num_groups};
}

double overlap(const Detection& a, const Detection& b) {
  const auto shared = [](double x, double width, double other, double other_width) {
    return std::max(0.0, std::min(x + width / 2, other + other_width / 2) -
                             std::max(x - width / 2, other - other_width / 2));
  };
  const double both = shared(a.x, a.width, b.x, b.width) * shared(a.y, a.height, b.y, b.height);
  return both / (a.width * a.height + b.width * b.height - both);
}

/// The name of the highest answer; "" where that is the one for none.
std::string chosen(const Tensor& logits, const std::vector<std::string>& names) {
  const auto index = static_cast<std::size_t>(logits.argmax().item<std::int64_t>());
  return index < names.size() ? names[index] : "";
}

}  // namespace

SceneDetectorConfig SceneDetectorConfig::from_json(const nlohmann::json& config) {
  SceneDetectorConfig c;
  const auto take = [&](const char* name, auto& field) {
    field = config_value(config, name, field);
  };
  take("image_size", c.image_size);
  take("block_out_channels", c.block_out_channels);
  take("layers_per_block", c.layers_per_block);
  take("num_attention_heads", c.num_attention_heads);
  take("norm_num_groups", c.norm_num_groups);
  take("things", c.things);
  take("colours", c.colours);
  take("words", c.words);
  take("places", c.places);
  take("weather", c.weather);
  take("styles", c.styles);
  if (c.block_out_channels.size() != 2 || c.layers_per_block.size() != 2 || c.image_size % 8 != 0 ||
      c.image_size < 8) {
    fail(Kind::corrupt,
         "a scene detector has two block_out_channels and layers_per_block, and an image_size that "
         "is a multiple of 8");
  }
  return c;
}

SceneDetector::SceneDetector(Weights& weights, const SceneDetectorConfig& config)
    : config_(config),
      conv_in_(Scope(weights) / "conv_in", 3, config.block_out_channels[0], stem, stem),
      attention_(Scope(weights) / "attention", config.block_out_channels[1],
                 config.num_attention_heads, config.norm_num_groups, 1e-5),
      last_(Scope(weights) / "last", config.block_out_channels[1], config.block_out_channels[1],
            resnet(config)),
      norm_out_(Scope(weights) / "norm_out", config.norm_num_groups, config.block_out_channels[1],
                1e-5),
      middle_(Scope(weights) / "middle", config.block_out_channels[1], 1, 1),
      box_(Scope(weights) / "box", config.block_out_channels[1], 4, 1),
      thing_(Scope(weights) / "thing", config.block_out_channels[1], count(config.things), 1),
      colour_(Scope(weights) / "colour", config.block_out_channels[1], count(config.colours) + 1,
              1),
      word_(Scope(weights) / "word", config.block_out_channels[1], count(config.words) + 1, 1),
      place_(Scope(weights) / "place", config.block_out_channels[1], count(config.places)),
      weather_(Scope(weights) / "weather", config.block_out_channels[1], count(config.weather) + 1),
      style_(Scope(weights) / "style", config.block_out_channels[1], count(config.styles)) {
  const Scope root(weights);
  for (int level = 0; level < 2; ++level) {
    const auto at = static_cast<std::size_t>(level);
    int in = config.block_out_channels[0];
    const int out = config.block_out_channels[at];
    if (level > 0) {
      downsamplers_.emplace_back(root / "downsamplers" / (level - 1), in, false);
    }
    blocks_.emplace_back();
    for (int i = 0; i < config.layers_per_block[at]; ++i, in = out) {
      blocks_.back().emplace_back(root / "blocks" / level / i, in, out, resnet(config));
    }
  }
  weights.finish("SceneDetector");
}

SceneMaps SceneDetector::forward(const Tensor& pictures) const {
  Tensor h = conv_in_.forward(pictures);
  for (std::size_t level = 0; level < blocks_.size(); ++level) {
    if (level > 0) {
      h = downsamplers_[level - 1].forward(h);
    }
    for (const ResnetBlock2D& block : blocks_[level]) {
      h = block.forward(h, {});
    }
  }
  h = norm_out_.activated(last_.forward(attention_.forward(h, Tensor()), {}));
  const Tensor whole = h.mean({2, 3});
  const auto map = [&](const Conv2d& conv) { return conv.forward(h).to(at::kFloat); };
  const auto answer = [&](const Linear& linear) { return linear.forward(whole).to(at::kFloat); };
  return {map(middle_).squeeze(1), map(box_),        map(thing_),   map(colour_), map(word_),
          answer(place_),          answer(weather_), answer(style_)};
}

/// What one picture's maps say: middles that are higher than their neighbours, doubles left out.
SceneReading SceneDetector::reading(const SceneMaps& maps, std::int64_t picture) const {
  SceneReading reading{{},
                       chosen(maps.place[picture], config_.places),
                       chosen(maps.weather[picture], config_.weather),
                       chosen(maps.style[picture], config_.styles)};
  const Tensor scores = maps.middle[picture].sigmoid().contiguous();
  const Tensor highest = at::max_pool2d(scores.unsqueeze(0).unsqueeze(0), {3, 3}, {1, 1}, {1, 1});
  const Tensor peaks =
      at::nonzero((scores == highest.squeeze(0).squeeze(0)).logical_and(scores > least_score));
  std::vector<Detection> found;
  for (const Tensor& peak : peaks.unbind()) {
    const auto row = peak[0].item<std::int64_t>(), column = peak[1].item<std::int64_t>();
    const auto at_peak = [&](const Tensor& map) {
      return map[picture].select(2, column).select(1, row).contiguous();
    };
    const Tensor box = at_peak(maps.box);
    const auto* numbers = box.const_data_ptr<float>();
    const double side = config_.side();
    found.push_back({chosen(at_peak(maps.thing), config_.things),
                     chosen(at_peak(maps.colour), config_.colours),
                     chosen(at_peak(maps.word), config_.words), scores[row][column].item<double>(),
                     (static_cast<double>(column) + 0.5) / side + numbers[0],
                     (static_cast<double>(row) + 0.5) / side + numbers[1], numbers[2], numbers[3]});
  }
  std::ranges::sort(found, std::greater(), &Detection::score);
  for (const Detection& each : found) {
    const bool known = std::ranges::any_of(reading.things, [&](const Detection& surer) {
      return surer.thing == each.thing && overlap(surer, each) > same_thing_overlap;
    });
    if (!known) {
      reading.things.push_back(each);
    }
  }
  return reading;
}

std::vector<SceneReading> SceneDetector::read(const Tensor& pictures) const {
  const SceneMaps maps = forward(pictures);
  std::vector<SceneReading> readings;
  for (std::int64_t i = 0; i < pictures.size(0); ++i) {
    readings.push_back(reading(maps, i));
  }
  return readings;
}

}  // namespace longhand
