// Mean and standard deviation of CLIP's image embeddings, between which stable unCLIP adds its
// noise (diffusers StableUnCLIPImageNormalizer).
#pragma once

#include <nlohmann/json.hpp>

#include "nn/weights.h"

namespace longhand {

struct StableUnCLIPImageNormalizerConfig {
  int embedding_dim = 768;

  static StableUnCLIPImageNormalizerConfig from_json(const nlohmann::json& config);
};

class StableUnCLIPImageNormalizer {
 public:
  StableUnCLIPImageNormalizer(Weights& weights, const StableUnCLIPImageNormalizerConfig& config);

  /// Embeddings [batch, embedding_dim] → mean 0 and standard deviation 1; and back.
  at::Tensor scale(const at::Tensor& embeds) const { return (embeds - mean_) / std_; }
  at::Tensor unscale(const at::Tensor& embeds) const { return embeds * std_ + mean_; }

 private:
  at::Tensor mean_, std_;  // [1, embedding_dim]
};

}  // namespace longhand
