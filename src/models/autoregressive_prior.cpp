#include "models/autoregressive_prior.h"

#include "core/error.h"
#include "models/config.h"
#include "models/prior_bias.h"

namespace longhand {
namespace {

constexpr int beside_states = 2;  // the text's embedding, the likeness

GitConfig layer_config(const AutoregressivePriorConfig& config) {
  GitConfig c;
  c.hidden_size = config.hidden_size;
  c.num_attention_heads = config.num_attention_heads;
  c.intermediate_size = 4 * config.hidden_size;
  c.layer_norm_eps = 1e-5;
  return c;
}

Tensor wide(const Tensor& x) { return x.to(at::kFloat); }

Tensor buckets(const Tensor& values, const Tensor& low, const Tensor& width, int count) {
  return ((values - low) / width).floor().clamp(0, count - 1).to(at::kLong);
}

}  // namespace

AutoregressivePriorConfig AutoregressivePriorConfig::from_json(const nlohmann::json& config) {
  AutoregressivePriorConfig c;
  const auto take = [&](const char* name, int& field) {
    field = config_value(config, name, field);
    if (field < 1) {
      fail(Kind::corrupt, "an autoregressive prior with {} {}; expected at least 1", name, field);
    }
  };
  take("embedding_dim", c.embedding_dim);
  take("num_embeddings", c.num_embeddings);
  take("num_components", c.num_components);
  take("num_buckets", c.num_buckets);
  take("hidden_size", c.hidden_size);
  take("num_layers", c.num_layers);
  take("num_attention_heads", c.num_attention_heads);
  if (c.hidden_size % c.num_attention_heads != 0 || c.num_components > c.embedding_dim) {
    fail(Kind::corrupt,
         "an autoregressive prior with hidden_size {} and {} heads, {} components of {}; heads "
         "must divide, and there are no more components than dimensions",
         c.hidden_size, c.num_attention_heads, c.num_components, c.embedding_dim);
  }
  return c;
}

AutoregressivePrior::AutoregressivePrior(Weights& weights, const AutoregressivePriorConfig& config)
    : mean(weights.take("mean", {config.embedding_dim}, Init::zeros)),
      axes(weights.take("axes", {config.num_components, config.embedding_dim}, Init::zeros)),
      low(weights.take("low", {config.num_components}, Init::zeros)),
      width(weights.take("width", {config.num_components}, Init::ones)),
      likeness_low(weights.take("likeness_low", {1}, Init::zeros)),
      likeness_width(weights.take("likeness_width", {1}, Init::ones)),
      config_(config),
      states_proj_(Scope(weights) / "states_proj", config.embedding_dim, config.hidden_size),
      embedding_proj_(Scope(weights) / "embedding_proj", config.embedding_dim, config.hidden_size),
      likeness_embedding_(weights.take("likeness_embedding.weight",
                                       {likeness_buckets_, config.hidden_size}, Init::normal_03)),
      code_embedding_(weights.take("code_embedding.weight",
                                   {config.num_buckets, config.hidden_size}, Init::normal_03)),
      positional_embedding_(weights.take(
          "positional_embedding",
          {config.num_embeddings + beside_states + config.num_components, config.hidden_size},
          Init::normal_03)),
      output_(Scope(weights) / "output", config.hidden_size, config.num_buckets) {
  for (int i = 0; i < config.num_layers; ++i) {
    layers_.emplace_back(Scope(weights) / "layers" / i, layer_config(config));
  }
  weights.finish("AutoregressivePrior");
}

Tensor AutoregressivePrior::codes_of(const Tensor& embeds) const {
  const Tensor components = at::matmul(wide(embeds) - wide(mean), wide(axes).t());
  return buckets(components, wide(low), wide(width), config_.num_buckets);
}

Tensor AutoregressivePrior::embeds_of(const Tensor& codes) const {
  return at::matmul(wide(low) + (wide(codes) + 0.5) * wide(width), wide(axes)) + wide(mean);
}

Tensor AutoregressivePrior::likeness_of(const Tensor& embeds, const Tensor& text_embeds) const {
  const Tensor cosine = at::cosine_similarity(wide(embeds), wide(text_embeds), 1);
  return buckets(cosine, wide(likeness_low), wide(likeness_width), likeness_buckets_);
}

Tensor AutoregressivePrior::prefix(const Tensor& likeness, const Text& text) const {
  return at::cat(
      {states_proj_.forward(text.states), embedding_proj_.forward(text.text_embeds).unsqueeze(1),
       at::embedding(likeness_embedding_, likeness).unsqueeze(1)},
      1);
}

Tensor AutoregressivePrior::forward(const Tensor& codes, const Tensor& likeness,
                                    const Text& text) const {
  Seen seen;
  const Tensor before = prefix(likeness, text);
  const Tensor given = at::embedding(code_embedding_, codes.narrow(1, 0, codes.size(1) - 1));
  Tensor h = at::cat({before, given}, 1);
  h = h + positional_embedding_.narrow(0, 0, h.size(1));
  const Tensor bias = prior_bias(text.mask, h.size(1) - text.mask.size(1), h.options());
  for (const GitLayer& layer : layers_) {
    GitLayer::KeyValue none;
    h = layer.forward(h, bias, none);
  }
  return output_.forward(h.narrow(1, before.size(1) - 1, codes.size(1)));
}

Tensor AutoregressivePrior::begin(const Tensor& likeness, const Text& text, Seen& seen) const {
  Tensor h = prefix(likeness, text);
  const std::int64_t length = h.size(1);
  h = h + positional_embedding_.narrow(0, 0, length);
  seen.layers.assign(layers_.size(), {});
  seen.components = 0;
  seen.padding = padding_bias(text.mask, beside_states, h.options());
  const Tensor bias = prior_bias(text.mask, beside_states, h.options());
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    h = layers_[i].forward(h, bias, seen.layers[i]);
  }
  return output_.forward(h.select(1, -1));
}

Tensor AutoregressivePrior::next(const Tensor& code, Seen& seen) const {
  const std::int64_t at = config_.num_embeddings + beside_states + seen.components;
  Tensor h =
      at::embedding(code_embedding_, code).unsqueeze(1) + positional_embedding_.narrow(0, at, 1);
  seen.padding = at::constant_pad_nd(seen.padding, {0, 1});
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    h = layers_[i].forward(h, seen.padding, seen.layers[i]);
  }
  ++seen.components;
  return output_.forward(h.squeeze(1));
}

}  // namespace longhand
