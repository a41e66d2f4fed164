// GIT, a captioner: pictures → text tokens. A CLIP image encoder's states, projected, stand before
// the text; picture positions see one another, text positions the picture and the text before them
// (transformers GitForCausalLM, without its video frames; Wang et al. 2022).
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "models/clip_vision.h"

namespace longhand {

struct GitConfig {
  int vocab_size = 30522;
  int hidden_size = 768;
  int num_hidden_layers = 6;
  int num_attention_heads = 12;
  int intermediate_size = 3072;
  int max_position_embeddings = 1024;
  std::string hidden_act = "gelu";
  double layer_norm_eps = 1e-12;
  bool tie_word_embeddings = false;  // the output layer's weight is that of the embeddings
  int bos_token_id = 101, eos_token_id = 102;
  CLIPVisionConfig vision_config;

  static GitConfig from_json(const nlohmann::json& config);
};

/// Attention and feed-forward, each with its norm after the residual (BERT's).
struct GitLayer {
  GitLayer(const Scope& scope, const GitConfig& config);

  struct KeyValue {
    Tensor key, value;  // [batch, length, hidden_size]
  };
  /// x [batch, length, hidden_size]. Positions see what `past` holds and, as the bias says (see
  /// attention()), one another; what they are seen by is added to `past`.
  Tensor forward(const Tensor& x, const Tensor& bias, KeyValue& past) const;

  Linear query, key, value, attention_dense;
  LayerNorm attention_norm;
  Linear intermediate, dense;
  LayerNorm norm;
  int heads;
  std::string activation;
};

class GitForCausalLM {
 public:
  GitForCausalLM(Weights& weights, const GitConfig& config);

  /// What has been seen: the picture, and the text so far.
  struct Seen {
    std::vector<GitLayer::KeyValue> layers;
    std::int64_t text = 0;  // tokens
  };
  /// Prepared pictures [batch, channels, image_size, image_size].
  Seen look(const Tensor& pixel_values) const;
  /// Token ids [batch, length] that follow what has been seen → logits of the tokens after each,
  /// [batch, length, vocab_size]. Throws invalid_argument beyond max_position_embeddings.
  Tensor forward(const Tensor& ids, Seen& seen) const;
  const GitConfig& config() const { return config_; }

 private:
  GitConfig config_;
  Tensor word_embeddings_, position_embeddings_;
  LayerNorm embeddings_norm_;
  CLIPVisionTransformer image_encoder_;
  std::vector<GitLayer> layers_;
  Linear visual_projection_;
  LayerNorm visual_norm_;
  Tensor output_weight_, output_bias_;
};

}  // namespace longhand
