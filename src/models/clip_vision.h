// CLIP's image encoder: prepared pictures [batch, 3, image_size, image_size] → image embeddings
// [batch, projection_dim] (transformers CLIPVisionModelWithProjection; Radford et al. 2021).
#pragma once

#include <nlohmann/json.hpp>

#include "models/clip_encoder.h"

namespace longhand {

struct CLIPVisionConfig : CLIPEncoderConfig {
  int num_channels = 3;
  int image_size = 224;
  int patch_size = 32;

  static CLIPVisionConfig from_json(const nlohmann::json& config);
};

struct ImageEncoding {
  Tensor last_hidden_state;  // [batch, 1 + patches, hidden_size], the class token first
  Tensor pooled;             // [batch, hidden_size]: the class token's state after post_layernorm
  Tensor image_embeds;       // [batch, projection_dim]; undefined without a projection
};

/// The encoder without its projection, below any scope.
class CLIPVisionTransformer {
 public:
  CLIPVisionTransformer(const Scope& scope, const CLIPVisionConfig& config);
  /// pixel_values as CLIPImageProcessor makes them, of any floating type; leaves image_embeds
  /// undefined. Throws invalid_argument for another size.
  ImageEncoding forward(const Tensor& pixel_values) const;
  /// All states after post_layernorm, [batch, 1 + patches, hidden_size]: what GIT reads.
  Tensor normed_states(const Tensor& pixel_values) const {
    return post_layernorm_.forward(forward(pixel_values).last_hidden_state);
  }
  const CLIPVisionConfig& config() const { return config_; }

 private:
  CLIPVisionConfig config_;
  Tensor class_embedding_;
  Conv2d patch_embedding_;
  Tensor position_embedding_;
  LayerNorm pre_layrnorm_;  // the published keys spell it so
  CLIPEncoder encoder_;
  LayerNorm post_layernorm_;
};

class CLIPVisionModelWithProjection {
 public:
  CLIPVisionModelWithProjection(Weights& weights, const CLIPVisionConfig& config);
  ImageEncoding forward(const Tensor& pixel_values) const;
  const CLIPVisionConfig& config() const { return vision_model_.config(); }

 private:
  CLIPVisionTransformer vision_model_;
  Linear visual_projection_;
};

}  // namespace longhand
