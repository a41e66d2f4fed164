#include "models/clip_encoder.h"

#include "core/error.h"
#include "models/config.h"

namespace longhand {

void CLIPEncoderConfig::read(const nlohmann::json& config) {
  const auto take = [&](const char* name, auto& field) {
    field = config_value(config, name, field);
  };
  take("hidden_size", hidden_size);
  take("intermediate_size", intermediate_size);
  take("num_hidden_layers", num_hidden_layers);
  take("num_attention_heads", num_attention_heads);
  take("projection_dim", projection_dim);
  take("hidden_act", hidden_act);
  take("layer_norm_eps", layer_norm_eps);
  if (num_attention_heads < 1 || hidden_size < 1 || hidden_size % num_attention_heads != 0) {
    fail(Kind::corrupt, "hidden_size {} cannot be split into {} attention heads", hidden_size,
         num_attention_heads);
  }
  if (num_hidden_layers < 1) {
    fail(Kind::corrupt, "num_hidden_layers is {}; expected at least 1", num_hidden_layers);
  }
}

CLIPLayer::CLIPLayer(const Scope& scope, const CLIPEncoderConfig& config)
    : q_proj(scope / "self_attn" / "q_proj", config.hidden_size, config.hidden_size),
      k_proj(scope / "self_attn" / "k_proj", config.hidden_size, config.hidden_size),
      v_proj(scope / "self_attn" / "v_proj", config.hidden_size, config.hidden_size),
      out_proj(scope / "self_attn" / "out_proj", config.hidden_size, config.hidden_size, true,
               Init::zeros),
      layer_norm1(scope / "layer_norm1", config.hidden_size, config.layer_norm_eps),
      fc1(scope / "mlp" / "fc1", config.hidden_size, config.intermediate_size),
      fc2(scope / "mlp" / "fc2", config.intermediate_size, config.hidden_size, true, Init::zeros),
      layer_norm2(scope / "layer_norm2", config.hidden_size, config.layer_norm_eps),
      heads(config.num_attention_heads),
      activation(config.hidden_act) {}

Tensor CLIPLayer::forward(const Tensor& x, const Tensor& bias) const {
  const Tensor normed = layer_norm1.forward(x);
  const Tensor mixed = attention(q_proj.forward(normed), k_proj.forward(normed),
                                 v_proj.forward(normed), heads, bias);
  const Tensor h = x + out_proj.forward(mixed);
  return h + fc2.forward(activate(activation, fc1.forward(layer_norm2.forward(h))));
}

CLIPEncoder::CLIPEncoder(const Scope& scope, const CLIPEncoderConfig& config) {
  for (int i = 0; i < config.num_hidden_layers; ++i) {
    layers.emplace_back(scope / "layers" / i, config);
  }
}

CLIPEncoder::States CLIPEncoder::forward(const Tensor& x, const Tensor& bias) const {
  States states{x, x};
  for (const CLIPLayer& layer : layers) {
    states.penultimate = states.last;
    states.last = layer.forward(states.last, bias);
  }
  return states;
}

}  // namespace longhand
