// The transformer that CLIP's text and image encoders share (transformers CLIPEncoder; Radford et
// al. 2021, section 2.4).
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "nn/layers.h"

namespace longhand {

struct CLIPEncoderConfig {
  int hidden_size = 512;
  int intermediate_size = 2048;
  int num_hidden_layers = 12;
  int num_attention_heads = 8;
  int projection_dim = 512;
  std::string hidden_act = "quick_gelu";
  double layer_norm_eps = 1e-5;

  /// Throws corrupt for fields that do not agree.
  void read(const nlohmann::json& config);
};

struct CLIPLayer {
  CLIPLayer(const Scope& scope, const CLIPEncoderConfig& config);
  /// x [batch, length, hidden_size]; bias as attention() takes it, or undefined.
  Tensor forward(const Tensor& x, const Tensor& bias) const;

  Linear q_proj, k_proj, v_proj, out_proj;
  LayerNorm layer_norm1;
  Linear fc1, fc2;
  LayerNorm layer_norm2;
  int heads;
  std::string activation;
};

struct CLIPEncoder {
  CLIPEncoder(const Scope& scope, const CLIPEncoderConfig& config);

  /// What comes out of the last layer and out of the one before it, [batch, length, hidden_size].
  struct States {
    Tensor last, penultimate;
  };
  States forward(const Tensor& x, const Tensor& bias) const;

  std::vector<CLIPLayer> layers;
};

}  // namespace longhand
