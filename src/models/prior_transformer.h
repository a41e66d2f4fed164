// PriorTransformer: a text's encoding and a noisy image embedding → the image embedding without
// noise (diffusers PriorTransformer; Ramesh et al. 2022, section 2.2; Kandinsky 2.2's and Karlo's
// priors).
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "models/attention.h"
#include "models/time_embedding.h"

namespace longhand {

struct PriorTransformerConfig {
  int num_attention_heads = 32;
  int attention_head_dim = 64;
  int num_layers = 20;
  int embedding_dim = 768;
  int num_embeddings = 77;

  static PriorTransformerConfig from_json(const nlohmann::json& config);
  int inner_dim() const { return num_attention_heads * attention_head_dim; }
};

/// norm1, attn1, norm3, ff.net.{0.proj, 2} with GELU (diffusers BasicTransformerBlock without
/// attention over a context).
struct PriorBlock {
  PriorBlock(const Scope& scope, int channels, int heads);
  Tensor forward(const Tensor& x, const Tensor& bias) const;

  LayerNorm norm1;
  CrossAttention attn1;
  LayerNorm norm3;
  Linear ff_in, ff_out;
};

class PriorTransformer {
 public:
  PriorTransformer(Weights& weights, const PriorTransformerConfig& config);

  struct Text {
    Tensor text_embeds;  // [batch, embedding_dim]
    Tensor states;       // [batch, num_embeddings, embedding_dim]
    /// [batch, num_embeddings], 1 for a token and 0 for padding. As in diffusers, tokens see only
    /// those before them where there is a mask, and all others where it is undefined.
    Tensor mask;
  };
  /// latents [batch, embedding_dim], of the weights' type; timesteps [batch] → [batch,
  /// embedding_dim], the predicted embedding, normalised as the latents are.
  Tensor forward(const Tensor& latents, const Tensor& timesteps, const Text& text) const;
  /// Normalised latents → image embeddings.
  Tensor post_process_latents(const Tensor& latents) const {
    return latents * clip_std_ + clip_mean_;
  }
  const PriorTransformerConfig& config() const { return config_; }

 private:
  PriorTransformerConfig config_;
  TimestepEmbedding time_embedding_;
  Linear proj_in_, embedding_proj_, encoder_hidden_states_proj_;
  Tensor positional_embedding_, prd_embedding_;
  std::vector<PriorBlock> transformer_blocks_;
  LayerNorm norm_out_;
  Linear proj_to_clip_embeddings_;
  Tensor clip_mean_, clip_std_;  // [1, embedding_dim]
};

}  // namespace longhand
