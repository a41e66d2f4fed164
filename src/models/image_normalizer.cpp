#include "models/image_normalizer.h"

#include "models/config.h"

namespace longhand {

StableUnCLIPImageNormalizerConfig StableUnCLIPImageNormalizerConfig::from_json(
    const nlohmann::json& config) {
  StableUnCLIPImageNormalizerConfig c;
  c.embedding_dim = config_value(config, "embedding_dim", c.embedding_dim);
  return c;
}

StableUnCLIPImageNormalizer::StableUnCLIPImageNormalizer(
    Weights& weights, const StableUnCLIPImageNormalizerConfig& config)
    : mean_(weights.take("mean", {1, config.embedding_dim}, Init::zeros)),
      std_(weights.take("std", {1, config.embedding_dim}, Init::ones)) {
  weights.finish("StableUnCLIPImageNormalizer");
}

}  // namespace longhand
