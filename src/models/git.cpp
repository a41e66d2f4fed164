#include "models/git.h"

#include "core/error.h"
#include "models/config.h"

namespace longhand {

GitConfig GitConfig::from_json(const nlohmann::json& config) {
  refuse_other_values(
      config, "GIT",
      {{"num_image_with_embedding", nullptr}, {"position_embedding_type", "absolute"}});
  GitConfig c;
  const auto take = [&](const char* name, auto& field) {
    field = config_value(config, name, field);
  };
  take("vocab_size", c.vocab_size);
  take("hidden_size", c.hidden_size);
  take("num_hidden_layers", c.num_hidden_layers);
  take("num_attention_heads", c.num_attention_heads);
  take("intermediate_size", c.intermediate_size);
  take("max_position_embeddings", c.max_position_embeddings);
  take("hidden_act", c.hidden_act);
  take("layer_norm_eps", c.layer_norm_eps);
  take("tie_word_embeddings", c.tie_word_embeddings);
  take("bos_token_id", c.bos_token_id);
  take("eos_token_id", c.eos_token_id);
  c.vision_config =
      CLIPVisionConfig::from_json(config_value(config, "vision_config", nlohmann::json::object()));
  if (c.num_attention_heads < 1 || c.hidden_size % c.num_attention_heads != 0) {
    fail(Kind::corrupt, "GIT with hidden_size {} and {} heads; the heads must divide it",
         c.hidden_size, c.num_attention_heads);
  }
  return c;
}

GitLayer::GitLayer(const Scope& scope, const GitConfig& config)
    : query(scope / "attention" / "self" / "query", config.hidden_size, config.hidden_size),
      key(scope / "attention" / "self" / "key", config.hidden_size, config.hidden_size),
      value(scope / "attention" / "self" / "value", config.hidden_size, config.hidden_size),
      attention_dense(scope / "attention" / "output" / "dense", config.hidden_size,
                      config.hidden_size),
      attention_norm(scope / "attention" / "output" / "LayerNorm", config.hidden_size,
                     config.layer_norm_eps),
      intermediate(scope / "intermediate" / "dense", config.hidden_size, config.intermediate_size),
      dense(scope / "output" / "dense", config.intermediate_size, config.hidden_size),
      norm(scope / "output" / "LayerNorm", config.hidden_size, config.layer_norm_eps),
      heads(config.num_attention_heads),
      activation(config.hidden_act) {}

Tensor GitLayer::forward(const Tensor& x, const Tensor& bias, KeyValue& past) const {
  const auto after = [](const Tensor& before, const Tensor& here) {
    return before.defined() ? at::cat({before, here}, 1) : here;
  };
  past = {after(past.key, key.forward(x)), after(past.value, value.forward(x))};
  const Tensor mixed = attention(query.forward(x), past.key, past.value, heads, bias);
  const Tensor h = attention_norm.forward(attention_dense.forward(mixed) + x);
  return norm.forward(dense.forward(activate(activation, intermediate.forward(h))) + h);
}

GitForCausalLM::GitForCausalLM(Weights& weights, const GitConfig& config)
    : config_(config),
      word_embeddings_(weights.take("git.embeddings.word_embeddings.weight",
                                    {config.vocab_size, config.hidden_size}, Init::normal_03)),
      position_embeddings_(weights.take("git.embeddings.position_embeddings.weight",
                                        {config.max_position_embeddings, config.hidden_size},
                                        Init::normal_03)),
      embeddings_norm_(Scope(weights) / "git" / "embeddings" / "LayerNorm", config.hidden_size,
                       config.layer_norm_eps),
      image_encoder_(Scope(weights) / "git" / "image_encoder" / "vision_model",
                     config.vision_config),
      visual_projection_(Scope(weights) / "git" / "visual_projection" / "visual_projection" / 0,
                         config.vision_config.hidden_size, config.hidden_size),
      visual_norm_(Scope(weights) / "git" / "visual_projection" / "visual_projection" / 1,
                   config.hidden_size, config.vision_config.layer_norm_eps),
      output_weight_(config.tie_word_embeddings
                         ? word_embeddings_
                         : weights.take("output.weight", {config.vocab_size, config.hidden_size},
                                        Init::fan_in)),
      output_bias_(weights.take("output.bias", {config.vocab_size}, Init::zeros)) {
  for (int i = 0; i < config.num_hidden_layers; ++i) {
    layers_.emplace_back(Scope(weights) / "git" / "encoder" / "layer" / i, config);
  }
  if (config.tie_word_embeddings) {
    weights.ignore("output.weight");
  }
  weights.finish("GitForCausalLM");
}

GitForCausalLM::Seen GitForCausalLM::look(const Tensor& pixel_values) const {
  const Tensor states = image_encoder_.normed_states(pixel_values);
  Tensor h = visual_norm_.forward(visual_projection_.forward(states));
  Seen seen{std::vector<GitLayer::KeyValue>(layers_.size())};
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    h = layers_[i].forward(h, {}, seen.layers[i]);
  }
  return seen;
}

Tensor GitForCausalLM::forward(const Tensor& ids, Seen& seen) const {
  const std::int64_t length = ids.size(1);
  if (seen.text + length > config_.max_position_embeddings) {
    fail(Kind::invalid_argument, "GIT writes up to {} tokens, {} are asked for",
         config_.max_position_embeddings, seen.text + length);
  }
  Tensor h = embeddings_norm_.forward(at::embedding(word_embeddings_, ids) +
                                      position_embeddings_.narrow(0, seen.text, length));
  Tensor bias;
  if (length > 1) {
    const std::int64_t before = seen.layers.front().key.size(1);
    bias = at::constant_pad_nd(causal_bias(length, h.options()), {before, 0});
  }
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    h = layers_[i].forward(h, bias, seen.layers[i]);
  }
  seen.text += length;
  return at::linear(h, output_weight_, output_bias_);
}

}  // namespace longhand
