// Both encoders of CLIP with their projections, for the CLIP score (transformers CLIPModel; Radford
// et al. 2021; Hessel et al. 2021).
#pragma once

#include <nlohmann/json.hpp>

#include "models/clip_text.h"
#include "models/clip_vision.h"

namespace longhand {

struct CLIPConfig {
  CLIPTextConfig text_config;
  CLIPVisionConfig vision_config;
  int projection_dim = 512;

  static CLIPConfig from_json(const nlohmann::json& config);
};

class CLIPModel {
 public:
  CLIPModel(Weights& weights, const CLIPConfig& config);

  /// ids [batch, length] → [batch, projection_dim], not of unit length.
  Tensor text_embeds(const Tensor& ids) const;
  /// pixel_values [batch, 3, image_size, image_size] → [batch, projection_dim], not of unit length.
  Tensor image_embeds(const Tensor& pixel_values) const;
  /// Cosines [images, texts] times exp(logit_scale).
  Tensor logits_per_image(const Tensor& image_embeds, const Tensor& text_embeds) const;

 private:
  CLIPTextTransformer text_model_;
  CLIPVisionTransformer vision_model_;
  Linear text_projection_, visual_projection_;
  Tensor logit_scale_;
};

/// Cosines [images, texts] of embeddings [images, d] and [texts, d].
Tensor cosine_similarities(const Tensor& image_embeds, const Tensor& text_embeds);

}  // namespace longhand
