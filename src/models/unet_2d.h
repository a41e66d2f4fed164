// UNet2DModel: a noisy picture and a timestep → the predicted noise, without text (diffusers
// UNet2DModel; Ho et al. 2020; the super-resolution models of Ramesh et al. 2022, section 2.1).
#pragma once

#include <nlohmann/json.hpp>

#include "models/time_embedding.h"
#include "models/unet_trunk.h"

namespace longhand {

struct UNet2DConfig : UNetTrunkConfig {
  bool flip_sin_to_cos = true;
  double freq_shift = 0;
  int sample_size = 256;

  static UNet2DConfig from_json(const nlohmann::json& config);
};

class UNet2DModel {
 public:
  UNet2DModel(Weights& weights, const UNet2DConfig& config);

  /// sample [batch, in_channels, h, w], timesteps [batch] → [batch, out_channels, h, w].
  Tensor forward(const Tensor& sample, const Tensor& timesteps) const;
  const UNet2DConfig& config() const { return config_; }

 private:
  UNet2DConfig config_;
  TimestepEmbedding time_embedding_;
  UNetTrunk trunk_;
};

}  // namespace longhand
