// UNet2DConditionModel: noisy latents, timestep and text → the predicted noise (or velocity)
// (diffusers UNet2DConditionModel; Rombach et al. 2022).
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "models/blocks.h"

namespace longhand {

struct UNet2DConditionConfig {
  int in_channels = 4;
  int out_channels = 4;
  std::vector<int> block_out_channels = {320, 640, 1280, 1280};
  std::vector<std::string> down_block_types = {"CrossAttnDownBlock2D", "CrossAttnDownBlock2D",
                                               "CrossAttnDownBlock2D", "DownBlock2D"};
  std::vector<std::string> up_block_types = {"UpBlock2D", "CrossAttnUpBlock2D",
                                             "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"};
  int layers_per_block = 2;
  int cross_attention_dim = 1280;
  std::vector<int> attention_heads = {8, 8, 8,
                                      8};  // config's attention_head_dim, which means heads
  std::vector<int> transformer_layers_per_block = {1, 1, 1, 1};
  int norm_num_groups = 32;
  double norm_eps = 1e-5;
  bool use_linear_projection = false;
  bool flip_sin_to_cos = true;
  double freq_shift = 0;
  int sample_size = 64;

  static UNet2DConditionConfig from_json(const nlohmann::json& config);
};

/// A level on the way down or up: residual blocks, each followed by attention where the level has
/// it.
struct UNetLevel {
  std::vector<ResnetBlock2D> resnets;
  std::vector<Transformer2DModel> attentions;  // empty or one a residual block
  std::optional<Downsample2D> downsample;
  std::optional<Upsample2D> upsample;
};

class UNet2DConditionModel {
 public:
  UNet2DConditionModel(Weights& weights, const UNet2DConditionConfig& config);

  /// sample [batch, in_channels, h, w], timesteps [batch], context [batch, length,
  /// cross_attention_dim] → [batch, out_channels, h, w].
  Tensor forward(const Tensor& sample, const Tensor& timesteps, const Tensor& context) const;
  const UNet2DConditionConfig& config() const { return config_; }

 private:
  UNetLevel down_level(const Scope& scope, int index) const;
  UNetLevel up_level(const Scope& scope, int index) const;
  Transformer2DModel transformer(const Scope& scope, int level) const;
  Tensor down(const UNetLevel& level, Tensor h, const Tensor& time, const Tensor& context,
              std::vector<Tensor>& skips) const;
  Tensor up(const UNetLevel& level, Tensor h, const Tensor& time, const Tensor& context,
            std::vector<Tensor>& skips) const;

  UNet2DConditionConfig config_;
  Conv2d conv_in_;
  Linear time_in_, time_out_;
  std::vector<UNetLevel> down_blocks_, up_blocks_;
  ResnetBlock2D mid_first_;
  Transformer2DModel mid_attention_;
  ResnetBlock2D mid_second_;
  GroupNorm conv_norm_out_;
  Conv2d conv_out_;
};

}  // namespace longhand
