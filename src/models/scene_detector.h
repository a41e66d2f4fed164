// What a picture of a scene shows: pictures [batch, 3, image_size, image_size] in -1…1 → things
// with colour, box and written word, and place, weather and style. Things are found by their
// middles, as "Objects as Points" (Zhou et al. 2019) does: a map of stride 8 says where a middle
// is, and what stands there.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "models/attention.h"
#include "models/blocks.h"

namespace longhand {

struct SceneDetectorConfig {
  int image_size = 128;
  std::vector<int> block_out_channels = {64, 128};  // at strides 4 and 8
  std::vector<int> layers_per_block = {1, 2};
  int num_attention_heads = 4;
  int norm_num_groups = 16;
  /// What it can name, in the order of its answers. Beyond these lists, colours, words and weather
  /// have an answer for none, the last.
  std::vector<std::string> things, colours, words, places, weather, styles;

  static SceneDetectorConfig from_json(const nlohmann::json& config);
  int side() const { return image_size / 8; }  // of the maps
};

/// The network's answers: logits, but for the boxes.
struct SceneMaps {
  Tensor middle;                 // [batch, side, side]
  Tensor box;                    // [batch, 4, side, side]: the middle's x and y from the cell's own
                                 // middle, width and height, in shares of the picture
  Tensor thing, colour, word;    // [batch, choices, side, side]
  Tensor place, weather, style;  // [batch, choices]
};

/// A thing that was found; places and lengths are shares of the picture.
struct Detection {
  std::string thing, colour, word;  // colour, word: "" for none
  double score;                     // 0…1
  double x, y, width, height;       // of its middle; y grows downwards
};

struct SceneReading {
  std::vector<Detection> things = {};  // the surest first
  std::string place = {}, weather = {}, style = {};
};

class SceneDetector {
 public:
  SceneDetector(Weights& weights, const SceneDetectorConfig& config);

  SceneMaps forward(const Tensor& pictures) const;
  std::vector<SceneReading> read(const Tensor& pictures) const;
  const SceneDetectorConfig& config() const { return config_; }

 private:
  SceneReading reading(const SceneMaps& maps, std::int64_t picture) const;

  SceneDetectorConfig config_;
  Conv2d conv_in_;
  std::vector<std::vector<ResnetBlock2D>> blocks_;
  std::vector<Downsample2D> downsamplers_;
  SelfAttention2D attention_;
  ResnetBlock2D last_;
  GroupNorm norm_out_;
  Conv2d middle_, box_, thing_, colour_, word_;
  Linear place_, weather_, style_;
};

}  // namespace longhand
