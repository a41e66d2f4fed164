// CLIP's text encoder: token ids [batch, length] → hidden states [batch, length, hidden_size]
// (transformers CLIPTextModel; Radford et al. 2021).
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "nn/layers.h"

namespace longhand {

struct CLIPTextConfig {
  int vocab_size = 49408;
  int hidden_size = 512;
  int intermediate_size = 2048;
  int num_hidden_layers = 12;
  int num_attention_heads = 8;
  int max_position_embeddings = 77;
  std::string hidden_act = "quick_gelu";
  double layer_norm_eps = 1e-5;
  int eos_token_id = 49407;

  static CLIPTextConfig from_json(const nlohmann::json& config);
};

struct CLIPLayer {
  CLIPLayer(const Scope& scope, const CLIPTextConfig& config);
  Tensor forward(const Tensor& x) const;

  Linear q_proj, k_proj, v_proj, out_proj;
  LayerNorm layer_norm1;
  Linear fc1, fc2;
  LayerNorm layer_norm2;
  int heads;
  std::string activation;
};

struct TextEncoding {
  Tensor last_hidden_state;  // [batch, length, hidden_size], after the final layer norm
  Tensor pooled;             // [batch, hidden_size]: the state at the end mark
};

class CLIPTextModel {
 public:
  /// Keys begin with "text_model.", as published checkpoints have them, or without, as transformers
  /// 5 writes.
  CLIPTextModel(Weights& weights, const CLIPTextConfig& config);
  TextEncoding forward(const Tensor& ids) const;
  const CLIPTextConfig& config() const { return config_; }

 private:
  CLIPTextModel(Weights& weights, const Scope& root, const CLIPTextConfig& config);

  CLIPTextConfig config_;
  Tensor token_embedding_, position_embedding_;
  std::vector<CLIPLayer> layers_;
  LayerNorm final_layer_norm_;
};

}  // namespace longhand
