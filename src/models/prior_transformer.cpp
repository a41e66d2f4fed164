#include "models/prior_transformer.h"

#include "core/error.h"
#include "models/config.h"
#include "models/prior_bias.h"

namespace longhand {
namespace {

constexpr int additional_embeddings = 4;  // text embedding, time, latent, prediction

}  // namespace

PriorTransformerConfig PriorTransformerConfig::from_json(const nlohmann::json& config) {
  refuse_other_values(config, "PriorTransformer",
                      {{"added_emb_type", "prd"},
                       {"additional_embeddings", additional_embeddings},
                       {"clip_embed_dim", nullptr},
                       {"embedding_proj_dim", nullptr},
                       {"embedding_proj_norm_type", nullptr},
                       {"encoder_hid_proj_type", "linear"},
                       {"norm_in_type", nullptr},
                       {"time_embed_act_fn", "silu"},
                       {"time_embed_dim", nullptr}});
  PriorTransformerConfig c;
  const auto take = [&](const char* name, int& field) {
    field = config_value(config, name, field);
    if (field < 1) {
      fail(Kind::corrupt, "PriorTransformer with {} {}; expected at least 1", name, field);
    }
  };
  take("num_attention_heads", c.num_attention_heads);
  take("attention_head_dim", c.attention_head_dim);
  take("num_layers", c.num_layers);
  take("embedding_dim", c.embedding_dim);
  take("num_embeddings", c.num_embeddings);
  return c;
}

PriorBlock::PriorBlock(const Scope& scope, int channels, int heads)
    : norm1(scope / "norm1", channels),
      attn1(scope / "attn1", channels, channels, heads, true),
      norm3(scope / "norm3", channels),
      ff_in(scope / "ff" / "net" / 0 / "proj", channels, channels * 4),
      ff_out(scope / "ff" / "net" / 2, channels * 4, channels) {}

Tensor PriorBlock::forward(const Tensor& x, const Tensor& bias) const {
  const Tensor normed = norm1.forward(x);
  const Tensor h = x + attn1.forward(normed, bias);
  return h + ff_out.forward(at::gelu(ff_in.forward(norm3.forward(h))));
}

PriorTransformer::PriorTransformer(Weights& weights, const PriorTransformerConfig& config)
    : config_(config),
      time_embedding_(Scope(weights) / "time_embedding", config.inner_dim(), config.inner_dim()),
      proj_in_(Scope(weights) / "proj_in", config.embedding_dim, config.inner_dim()),
      embedding_proj_(Scope(weights) / "embedding_proj", config.embedding_dim, config.inner_dim()),
      encoder_hidden_states_proj_(Scope(weights) / "encoder_hidden_states_proj",
                                  config.embedding_dim, config.inner_dim()),
      positional_embedding_(weights.take(
          "positional_embedding",
          {1, config.num_embeddings + additional_embeddings, config.inner_dim()}, Init::zeros)),
      prd_embedding_(weights.take("prd_embedding", {1, 1, config.inner_dim()}, Init::zeros)),
      norm_out_(Scope(weights) / "norm_out", config.inner_dim()),
      proj_to_clip_embeddings_(Scope(weights) / "proj_to_clip_embeddings", config.inner_dim(),
                               config.embedding_dim),
      clip_mean_(weights.take("clip_mean", {1, config.embedding_dim}, Init::zeros)),
      clip_std_(weights.take("clip_std", {1, config.embedding_dim}, Init::ones)) {
  for (int i = 0; i < config.num_layers; ++i) {
    transformer_blocks_.emplace_back(Scope(weights) / "transformer_blocks" / i, config.inner_dim(),
                                     config.num_attention_heads);
  }
  weights.finish("PriorTransformer");
}

Tensor PriorTransformer::forward(const Tensor& latents, const Tensor& timesteps,
                                 const Text& text) const {
  if (text.states.size(1) != config_.num_embeddings) {
    fail(Kind::internal, "the prior takes {} text tokens, got {}", config_.num_embeddings,
         text.states.size(1));
  }
  const Tensor sinusoids = timestep_embedding(timesteps, config_.inner_dim(), true, 0);
  Tensor h = at::cat({encoder_hidden_states_proj_.forward(text.states),
                      embedding_proj_.forward(text.text_embeds).unsqueeze(1),
                      time_embedding_.forward(sinusoids.to(latents.scalar_type())).unsqueeze(1),
                      proj_in_.forward(latents).unsqueeze(1),
                      prd_embedding_.expand({latents.size(0), 1, config_.inner_dim()})},
                     1) +
             positional_embedding_;
  const Tensor bias =
      text.mask.defined() ? prior_bias(text.mask, additional_embeddings, h.options()) : Tensor();
  for (const PriorBlock& block : transformer_blocks_) {
    h = block.forward(h, bias);
  }
  return proj_to_clip_embeddings_.forward(norm_out_.forward(h.select(1, -1)));
}

}  // namespace longhand
