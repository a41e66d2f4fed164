// How Karlo's decoder is told of the picture and the text: CLIP's embeddings join the time
// embedding, and the image's becomes extra tokens before the text's states (diffusers
// UnCLIPTextProjModel; Ramesh et al. 2022, section 2.1).
#pragma once

#include <nlohmann/json.hpp>

#include "nn/layers.h"

namespace longhand {

struct UnCLIPTextProjConfig {
  int clip_extra_context_tokens = 4;
  int clip_embeddings_dim = 768;
  int time_embed_dim = 0;       // the config must say
  int cross_attention_dim = 0;  // the config must say

  static UnCLIPTextProjConfig from_json(const nlohmann::json& config);
};

class UnCLIPTextProjModel {
 public:
  UnCLIPTextProjModel(Weights& weights, const UnCLIPTextProjConfig& config);

  struct Conditioning {
    Tensor context;  // [batch, extra tokens + length, cross_attention_dim], the extra ones first
    Tensor time;     // [batch, time_embed_dim], to be added to the time embedding
  };
  /// image_embeds [images, d]; text_embeds [batch, d]; text_states [batch, length, d]. With
  /// guidance the batch is twice the images: the first half is without a picture, for which a
  /// learned embedding stands. Throws internal where the numbers do not agree.
  Conditioning forward(const Tensor& image_embeds, const Tensor& text_embeds,
                       const Tensor& text_states, bool with_guidance) const;

 private:
  UnCLIPTextProjConfig config_;
  Tensor learned_classifier_free_guidance_embeddings_;
  Linear embedding_proj_, clip_image_embeddings_project_to_time_embeddings_;
  Linear clip_extra_context_tokens_proj_, encoder_hidden_states_proj_;
  LayerNorm text_encoder_hidden_states_norm_;
};

}  // namespace longhand
