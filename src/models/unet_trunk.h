// What UNet2DConditionModel and UNet2DModel share: convolutions in and out, and between them levels
// of residual blocks and attention with skip connections from the way down to the way up.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "models/attention.h"
#include "models/blocks.h"

namespace longhand {

/// Fields keep the names of the published config.json.
struct UNetTrunkConfig {
  int in_channels = 4;
  int out_channels = 4;
  std::vector<int> block_out_channels = {320, 640, 1280, 1280};
  std::vector<std::string> down_block_types = {"CrossAttnDownBlock2D", "CrossAttnDownBlock2D",
                                               "CrossAttnDownBlock2D", "DownBlock2D"};
  std::vector<std::string> up_block_types = {"UpBlock2D", "CrossAttnUpBlock2D",
                                             "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"};
  std::string mid_block_type = "UNetMidBlock2DCrossAttn";
  bool mid_block_add_attention = true;
  int layers_per_block = 2;
  int downsample_padding = 1;
  int norm_num_groups = 32;
  double norm_eps = 1e-5;
  std::string resnet_time_scale_shift = "default";
  int cross_attention_dim = 1280;
  /// A level. CrossAttn blocks take it for the number of heads, SimpleCrossAttn and Attn blocks for
  /// a head's width; 0 is one head.
  std::vector<int> attention_head_dim = {8, 8, 8, 8};
  std::vector<int> transformer_layers_per_block = {1, 1, 1, 1};
  bool use_linear_projection = false;

  /// Throws corrupt for fields that do not agree, and for those that change the numbers and are not
  /// supported.
  void read(const nlohmann::json& config);
};

/// What a kind of block is made of.
struct UNetBlockKind {
  enum class Attention { none, transformer, added_kv, self };
  Attention attention;
  bool resnet_resamples;  // a residual block halves or doubles the side, instead of a convolution
};

/// A level on the way down or up: residual blocks, each followed by attention where the level has
/// it; then a change of resolution, except at the last one.
struct UNetLevel {
  Tensor resampled(const Tensor& h, const Tensor& time, at::OptionalIntArrayRef size) const;

  std::vector<ResnetBlock2D> resnets;
  std::vector<std::unique_ptr<SpatialAttention>> attentions;  // empty or one a residual block
  std::optional<Downsample2D> downsample;
  std::optional<Upsample2D> upsample;
  std::optional<ResnetBlock2D> resample;
};

class UNetTrunk {
 public:
  UNetTrunk(const Scope& scope, const UNetTrunkConfig& config, int time_channels);

  /// sample [batch, in_channels, h, w]; activated_time [batch, time_channels], after its SiLU →
  /// [batch, out_channels, h, w].
  Tensor forward(const Tensor& sample, const Tensor& activated_time, Context& context) const;

 private:
  ResnetBlock2D::Options resnet(Resample resample = Resample::none) const;
  std::unique_ptr<SpatialAttention> attention(const Scope& scope, UNetBlockKind::Attention kind,
                                              int level) const;
  UNetLevel down_level(const Scope& scope, int index) const;
  UNetLevel up_level(const Scope& scope, int index) const;
  UNetLevel mid_level(const Scope& scope) const;

  UNetTrunkConfig config_;
  int time_channels_;
  Conv2d conv_in_;
  std::vector<UNetLevel> down_blocks_, up_blocks_;
  UNetLevel mid_block_;  // one residual block more than attentions
  GroupNorm conv_norm_out_;
  Conv2d conv_out_;
};

}  // namespace longhand
