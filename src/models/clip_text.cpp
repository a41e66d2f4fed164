#include "models/clip_text.h"

#include <algorithm>

#include "core/error.h"
#include "models/config.h"

namespace longhand {

CLIPTextConfig CLIPTextConfig::from_json(const nlohmann::json& config) {
  CLIPTextConfig c;
  c.read(config);
  c.vocab_size = config_value(config, "vocab_size", c.vocab_size);
  c.max_position_embeddings =
      config_value(config, "max_position_embeddings", c.max_position_embeddings);
  c.eos_token_id = config_value(config, "eos_token_id", c.eos_token_id);
  const auto architectures = config_value<std::vector<std::string>>(config, "architectures", {});
  c.with_projection =
      std::ranges::find(architectures, "CLIPTextModelWithProjection") != architectures.end();
  return c;
}

CLIPTextTransformer::CLIPTextTransformer(const Scope& scope, const CLIPTextConfig& config)
    : config_(config),
      token_embedding_((scope / "embeddings" / "token_embedding")
                           .take("weight", {config.vocab_size, config.hidden_size}, Init::normal)),
      position_embedding_((scope / "embeddings" / "position_embedding")
                              .take("weight", {config.max_position_embeddings, config.hidden_size},
                                    Init::normal_03)),
      encoder_(scope / "encoder", config),
      final_layer_norm_(scope / "final_layer_norm", config.hidden_size, config.layer_norm_eps) {}

TextEncoding CLIPTextTransformer::forward(const Tensor& ids) const {
  const std::int64_t length = ids.size(1);
  if (length > config_.max_position_embeddings) {
    fail(Kind::invalid_argument, "the text encoder takes {} tokens, got {}",
         config_.max_position_embeddings, length);
  }
  const Tensor h = at::embedding(token_embedding_, ids) + position_embedding_.slice(0, 0, length);
  const auto [state, penultimate] = encoder_.forward(h, causal_bias(length, h.options()));
  const Tensor last = final_layer_norm_.forward(state);
  // Configs of before transformers 4.30 say eos_token_id 2 and mean the highest id, the end mark.
  const Tensor end = config_.eos_token_id == 2
                         ? ids.argmax(-1)
                         : (ids == config_.eos_token_id).to(at::kInt).argmax(-1);
  return {last, penultimate, last.index({at::arange(ids.size(0), ids.options()), end}), {}};
}

CLIPTextModel::CLIPTextModel(Weights& weights, const CLIPTextConfig& config)
    : text_model_(weights.contains("embeddings.token_embedding.weight")
                      ? Scope(weights)
                      : Scope(weights) / "text_model",
                  config) {
  if (config.with_projection || weights.contains("text_projection.weight")) {
    text_projection_.emplace(Scope(weights) / "text_projection", config.hidden_size,
                             config.projection_dim, false);
  }
  weights.ignore("text_model.embeddings.position_ids");
  weights.finish(text_projection_ ? "CLIPTextModelWithProjection" : "CLIPTextModel");
}

TextEncoding CLIPTextModel::forward(const Tensor& ids) const {
  TextEncoding encoding = text_model_.forward(ids);
  if (text_projection_) {
    encoding.text_embeds = text_projection_->forward(encoding.pooled);
  }
  return encoding;
}

}  // namespace longhand
