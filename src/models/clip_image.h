// A picture as CLIP's image encoder sees it (transformers CLIPImageProcessor): on white where it is
// transparent, the shorter side brought to a size by PIL's antialiased bicubic filter, the middle
// cut out, normalised.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "io/image.h"
#include "nn/torch.h"

namespace longhand {

struct CLIPImageProcessor {
  int size = 224;       // of the shorter side, after resizing
  int crop_size = 224;  // of both sides, at the end
  std::vector<double> image_mean = {0.48145466, 0.4578275, 0.40821073};
  std::vector<double> image_std = {0.26862954, 0.26130258, 0.27577711};

  /// From a preprocessor_config.json. Throws corrupt for steps that are switched off and for other
  /// filters.
  static CLIPImageProcessor from_json(const nlohmann::json& config);

  /// [3, crop_size, crop_size], float32. Before normalising, values are at most one of 255 from
  /// PIL's. Throws invalid_argument for a picture more than 64 times as long as wide.
  at::Tensor pixel_values(const Image& image) const;
};

}  // namespace longhand
