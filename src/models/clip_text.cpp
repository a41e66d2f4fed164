#include "models/clip_text.h"

#include "core/error.h"
#include "models/config.h"

namespace longhand {

CLIPTextConfig CLIPTextConfig::from_json(const nlohmann::json& config) {
  CLIPTextConfig c;
  c.vocab_size = config_value(config, "vocab_size", c.vocab_size);
  c.hidden_size = config_value(config, "hidden_size", c.hidden_size);
  c.intermediate_size = config_value(config, "intermediate_size", c.intermediate_size);
  c.num_hidden_layers = config_value(config, "num_hidden_layers", c.num_hidden_layers);
  c.num_attention_heads = config_value(config, "num_attention_heads", c.num_attention_heads);
  c.max_position_embeddings =
      config_value(config, "max_position_embeddings", c.max_position_embeddings);
  c.hidden_act = config_value(config, "hidden_act", c.hidden_act);
  c.layer_norm_eps = config_value(config, "layer_norm_eps", c.layer_norm_eps);
  c.eos_token_id = config_value(config, "eos_token_id", c.eos_token_id);
  if (c.num_attention_heads < 1 || c.hidden_size % c.num_attention_heads != 0) {
    fail(Kind::corrupt, "hidden_size {} cannot be split into {} attention heads", c.hidden_size,
         c.num_attention_heads);
  }
  return c;
}

CLIPLayer::CLIPLayer(const Scope& scope, const CLIPTextConfig& config)
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

Tensor CLIPLayer::forward(const Tensor& x) const {
  const Tensor normed = layer_norm1.forward(x);
  const Tensor mixed = attention(q_proj.forward(normed), k_proj.forward(normed),
                                 v_proj.forward(normed), heads, true);
  const Tensor h = x + out_proj.forward(mixed);
  return h + fc2.forward(activate(activation, fc1.forward(layer_norm2.forward(h))));
}

CLIPTextModel::CLIPTextModel(Weights& weights, const CLIPTextConfig& config)
    : CLIPTextModel(weights,
                    weights.contains("embeddings.token_embedding.weight")
                        ? Scope(weights)
                        : Scope(weights) / "text_model",
                    config) {}

CLIPTextModel::CLIPTextModel(Weights& weights, const Scope& root, const CLIPTextConfig& config)
    : config_(config),
      token_embedding_(
          (root / "embeddings" / "token_embedding")
              .take("weight", {config.vocab_size, config.hidden_size}, Init::normal)),
      position_embedding_((root / "embeddings" / "position_embedding")
                              .take("weight", {config.max_position_embeddings, config.hidden_size},
                                    Init::normal_03)),
      final_layer_norm_(root / "final_layer_norm", config.hidden_size, config.layer_norm_eps) {
  for (int i = 0; i < config.num_hidden_layers; ++i) {
    layers_.emplace_back(root / "encoder" / "layers" / i, config);
  }
  weights.ignore("text_model.embeddings.position_ids");
  weights.finish("CLIPTextModel");
}

TextEncoding CLIPTextModel::forward(const Tensor& ids) const {
  const std::int64_t length = ids.size(1);
  if (length > config_.max_position_embeddings) {
    fail(Kind::invalid_argument, "the text encoder takes {} tokens, got {}",
         config_.max_position_embeddings, length);
  }
  Tensor h = at::embedding(token_embedding_, ids) + position_embedding_.slice(0, 0, length);
  for (const CLIPLayer& layer : layers_) {
    h = layer.forward(h);
  }
  const Tensor last = final_layer_norm_.forward(h);
  // Configs of before transformers 4.30 say eos_token_id 2 and mean the highest id, the end mark.
  const Tensor end = config_.eos_token_id == 2
                         ? ids.argmax(-1)
                         : (ids == config_.eos_token_id).to(at::kInt).argmax(-1);
  return {last, last.index({at::arange(ids.size(0), ids.options()), end})};
}

}  // namespace longhand
