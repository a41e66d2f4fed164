#include "models/unclip_text_proj.h"

#include "core/error.h"
#include "models/config.h"

namespace longhand {

UnCLIPTextProjConfig UnCLIPTextProjConfig::from_json(const nlohmann::json& config) {
  UnCLIPTextProjConfig c;
  c.clip_extra_context_tokens =
      config_value(config, "clip_extra_context_tokens", c.clip_extra_context_tokens);
  c.clip_embeddings_dim = config_value(config, "clip_embeddings_dim", c.clip_embeddings_dim);
  c.time_embed_dim = config_value(config, "time_embed_dim", c.time_embed_dim);
  c.cross_attention_dim = config_value(config, "cross_attention_dim", c.cross_attention_dim);
  if (c.clip_extra_context_tokens < 1 || c.time_embed_dim < 1 || c.cross_attention_dim < 1) {
    fail(Kind::corrupt,
         "UnCLIPTextProjModel with clip_extra_context_tokens {}, time_embed_dim {} and "
         "cross_attention_dim {}; expected at least 1 each",
         c.clip_extra_context_tokens, c.time_embed_dim, c.cross_attention_dim);
  }
  return c;
}

UnCLIPTextProjModel::UnCLIPTextProjModel(Weights& weights, const UnCLIPTextProjConfig& config)
    : config_(config),
      learned_classifier_free_guidance_embeddings_(
          weights.take("learned_classifier_free_guidance_embeddings", {config.clip_embeddings_dim},
                       Init::zeros)),
      embedding_proj_(Scope(weights) / "embedding_proj", config.clip_embeddings_dim,
                      config.time_embed_dim),
      clip_image_embeddings_project_to_time_embeddings_(
          Scope(weights) / "clip_image_embeddings_project_to_time_embeddings",
          config.clip_embeddings_dim, config.time_embed_dim),
      clip_extra_context_tokens_proj_(
          Scope(weights) / "clip_extra_context_tokens_proj", config.clip_embeddings_dim,
          config.clip_extra_context_tokens * config.cross_attention_dim),
      encoder_hidden_states_proj_(Scope(weights) / "encoder_hidden_states_proj",
                                  config.clip_embeddings_dim, config.cross_attention_dim),
      text_encoder_hidden_states_norm_(Scope(weights) / "text_encoder_hidden_states_norm",
                                       config.cross_attention_dim) {
  weights.finish("UnCLIPTextProjModel");
}

UnCLIPTextProjModel::Conditioning UnCLIPTextProjModel::forward(const Tensor& image_embeds,
                                                               const Tensor& text_embeds,
                                                               const Tensor& text_states,
                                                               bool with_guidance) const {
  Tensor images = image_embeds;
  if (with_guidance) {
    images = at::cat(
        {learned_classifier_free_guidance_embeddings_.expand_as(image_embeds), image_embeds}, 0);
  }
  const std::int64_t batch = text_embeds.size(0);
  if (images.size(0) != batch || text_states.size(0) != batch) {
    fail(Kind::internal, "UnCLIPTextProjModel takes {} pictures, {} texts and {} texts' states",
         images.size(0), batch, text_states.size(0));
  }
  const Tensor extra = clip_extra_context_tokens_proj_.forward(images)
                           .view({batch, -1, config_.clip_extra_context_tokens})
                           .permute({0, 2, 1});
  const Tensor states =
      text_encoder_hidden_states_norm_.forward(encoder_hidden_states_proj_.forward(text_states));
  return {at::cat({extra, states}, 1),
          clip_image_embeddings_project_to_time_embeddings_.forward(images) +
              embedding_proj_.forward(text_embeds)};
}

}  // namespace longhand
