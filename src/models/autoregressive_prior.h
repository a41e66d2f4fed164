// unCLIP's autoregressive prior: a text's encoding → the principal components of the image
// embedding, quantised, one after the other (Ramesh et al. 2022, section 2.2). Text states, the
// text's embedding and how near the picture is to come to it stand before the components.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "models/git.h"

namespace longhand {

struct AutoregressivePriorConfig {
  int embedding_dim = 768;
  int num_embeddings = 77;   // text states
  int num_components = 319;  // of the embedding, the strongest first
  int num_buckets = 1024;    // of each component's range
  int hidden_size = 512;
  int num_layers = 6;
  int num_attention_heads = 8;

  static AutoregressivePriorConfig from_json(const nlohmann::json& config);
};

class AutoregressivePrior {
 public:
  AutoregressivePrior(Weights& weights, const AutoregressivePriorConfig& config);

  struct Text {
    Tensor text_embeds;  // [batch, embedding_dim]
    Tensor states;       // [batch, num_embeddings, embedding_dim]
    Tensor mask;         // [batch, num_embeddings], 1 for a token and 0 for padding
  };

  /// Image embeddings [batch, embedding_dim] → buckets [batch, num_components], and back to the
  /// middles of the buckets.
  Tensor codes_of(const Tensor& embeds) const;
  Tensor embeds_of(const Tensor& codes) const;
  /// The bucket of the cosine of image and text embeddings, [batch].
  Tensor likeness_of(const Tensor& embeds, const Tensor& text_embeds) const;

  /// Logits of all components given those before, [batch, num_components, num_buckets]; for
  /// training.
  Tensor forward(const Tensor& codes, const Tensor& likeness, const Text& text) const;

  /// Component by component: what has been seen, and the logits of the next, [batch, num_buckets].
  struct Seen {
    std::vector<GitLayer::KeyValue> layers;
    Tensor padding;  // [batch, 1, 1, seen], added to the scores
    std::int64_t components = 0;
  };
  Tensor begin(const Tensor& likeness, const Text& text, Seen& seen) const;
  Tensor next(const Tensor& code, Seen& seen) const;  // code [batch]

  const AutoregressivePriorConfig& config() const { return config_; }
  int likeness_buckets() const { return likeness_buckets_; }

  // What quantises embeddings, set by training: the mean [embedding_dim], the principal axes
  // [num_components, embedding_dim], and the lower ends and widths of the buckets of each component
  // [num_components] and of the likeness [1].
  Tensor mean, axes, low, width, likeness_low, likeness_width;

 private:
  Tensor prefix(const Tensor& likeness, const Text& text) const;

  static constexpr int likeness_buckets_ = 16;
  AutoregressivePriorConfig config_;
  Linear states_proj_, embedding_proj_;
  Tensor likeness_embedding_, code_embedding_, positional_embedding_;
  std::vector<GitLayer> layers_;
  Linear output_;
};

}  // namespace longhand
