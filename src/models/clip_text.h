// CLIP's text encoder: token ids [batch, length] → hidden states [batch, length, hidden_size], and
// with a projection text embeddings [batch, projection_dim] (transformers CLIPTextModel and
// CLIPTextModelWithProjection; Radford et al. 2021).
#pragma once

#include <nlohmann/json.hpp>
#include <optional>

#include "models/clip_encoder.h"

namespace longhand {

struct CLIPTextConfig : CLIPEncoderConfig {
  int vocab_size = 49408;
  int max_position_embeddings = 77;
  int eos_token_id = 49407;
  bool with_projection = false;  // architectures names CLIPTextModelWithProjection

  static CLIPTextConfig from_json(const nlohmann::json& config);
};

struct TextEncoding {
  Tensor last_hidden_state;  // [batch, length, hidden_size], after the final layer norm
  Tensor penultimate;        // the same before the last layer and without the norm: SDXL's context
  Tensor pooled;             // [batch, hidden_size]: last_hidden_state at the end mark
  Tensor text_embeds;        // [batch, projection_dim]; undefined without a projection
};

/// The encoder without its projection, below any scope.
class CLIPTextTransformer {
 public:
  CLIPTextTransformer(const Scope& scope, const CLIPTextConfig& config);
  /// Leaves text_embeds undefined. Throws invalid_argument for more ids than there are positions.
  TextEncoding forward(const Tensor& ids) const;
  const CLIPTextConfig& config() const { return config_; }

 private:
  CLIPTextConfig config_;
  Tensor token_embedding_, position_embedding_;
  CLIPEncoder encoder_;
  LayerNorm final_layer_norm_;
};

class CLIPTextModel {
 public:
  /// Keys begin with "text_model.", as published checkpoints have them, or without, as transformers
  /// 5 writes. The projection is there where the config or the checkpoint has it.
  CLIPTextModel(Weights& weights, const CLIPTextConfig& config);
  TextEncoding forward(const Tensor& ids) const;
  const CLIPTextConfig& config() const { return text_model_.config(); }

 private:
  CLIPTextTransformer text_model_;
  std::optional<Linear> text_projection_;
};

}  // namespace longhand
