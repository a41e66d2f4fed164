#include "models/unet_trunk.h"

#include <map>

#include "core/error.h"
#include "core/memory.h"
#include "models/config.h"

namespace longhand {
namespace {

using Attention = UNetBlockKind::Attention;

const UNetBlockKind& block_kind(const std::string& type) {
  static const std::map<std::string, UNetBlockKind> kinds = {
      {"DownBlock2D", {Attention::none, false}},
      {"CrossAttnDownBlock2D", {Attention::transformer, false}},
      {"AttnDownBlock2D", {Attention::self, false}},
      {"ResnetDownsampleBlock2D", {Attention::none, true}},
      {"SimpleCrossAttnDownBlock2D", {Attention::added_kv, true}},
      {"UpBlock2D", {Attention::none, false}},
      {"CrossAttnUpBlock2D", {Attention::transformer, false}},
      {"AttnUpBlock2D", {Attention::self, false}},
      {"ResnetUpsampleBlock2D", {Attention::none, true}},
      {"SimpleCrossAttnUpBlock2D", {Attention::added_kv, true}},
      {"UNetMidBlock2D", {Attention::self, false}},
      {"UNetMidBlock2DCrossAttn", {Attention::transformer, false}},
      {"UNetMidBlock2DSimpleCrossAttn", {Attention::added_kv, false}},
  };
  const auto found = kinds.find(type);
  if (found == kinds.end()) {
    fail(Kind::corrupt, "UNet block type {} is not known", type);
  }
  return found->second;
}

/// Fields that no published model of these sets otherwise, and that would change the numbers.
void refuse_unsupported(const nlohmann::json& config) {
  refuse_other_values(config, "the UNet",
                      {
                          {"act_fn", "silu"},
                          {"center_input_sample", false},
                          {"conv_in_kernel", 3},
                          {"conv_out_kernel", 3},
                          {"cross_attention_norm", nullptr},
                          {"dual_cross_attention", false},
                          {"mid_block_only_cross_attention", nullptr},
                          {"mid_block_scale_factor", 1},
                          {"only_cross_attention", false},
                          {"resnet_out_scale_factor", 1.0},
                          {"resnet_skip_time_act", false},
                          {"reverse_transformer_layers_per_block", nullptr},
                          {"time_embedding_act_fn", nullptr},
                          {"time_embedding_dim", nullptr},
                          {"time_embedding_type", "positional"},
                          {"timestep_post_act", nullptr},
                      });
}

int heads_of(const UNetTrunkConfig& config, Attention kind, int level) {
  const int channels = config.block_out_channels[static_cast<std::size_t>(level)];
  const int given = config.attention_head_dim[static_cast<std::size_t>(level)];
  if (kind == Attention::transformer) {
    if (given == 0) {
      fail(Kind::corrupt, "the UNet's level {} has attention over text and no attention_head_dim",
           level);
    }
    return given;
  }
  return given == 0 ? 1 : channels / given;
}

}  // namespace

void UNetTrunkConfig::read(const nlohmann::json& config) {
  refuse_unsupported(config);
  const auto take = [&](const char* name, auto& field) {
    field = config_value(config, name, field);
  };
  take("in_channels", in_channels);
  take("out_channels", out_channels);
  take("block_out_channels", block_out_channels);
  take("down_block_types", down_block_types);
  take("up_block_types", up_block_types);
  take("layers_per_block", layers_per_block);
  take("downsample_padding", downsample_padding);
  take("norm_num_groups", norm_num_groups);
  take("norm_eps", norm_eps);
  take("resnet_time_scale_shift", resnet_time_scale_shift);
  take("cross_attention_dim", cross_attention_dim);
  take("use_linear_projection", use_linear_projection);
  take("mid_block_type", mid_block_type);
  const std::size_t levels = block_out_channels.size();
  if (levels == 0 || down_block_types.size() != levels || up_block_types.size() != levels) {
    fail(Kind::corrupt,
         "the UNet has {} block_out_channels, {} down and {} up blocks; they must agree", levels,
         down_block_types.size(), up_block_types.size());
  }
  const bool separate =
      config.contains("num_attention_heads") && !config["num_attention_heads"].is_null();
  const int fallback = attention_head_dim.empty() ? 0 : attention_head_dim.front();
  attention_head_dim = config_per_block(
      config, separate ? "num_attention_heads" : "attention_head_dim", fallback, levels);
  transformer_layers_per_block =
      config_per_block(config, "transformer_layers_per_block", 1, levels);
  for (std::size_t i = 0; i < levels; ++i) {
    if (attention_head_dim[i] < 0 || norm_num_groups < 1 ||
        block_out_channels[i] % norm_num_groups != 0 ||
        (attention_head_dim[i] > 0 && block_out_channels[i] % attention_head_dim[i] != 0)) {
      fail(Kind::corrupt,
           "UNet level {}: {} channels do not divide by attention_head_dim {} and {} norm groups",
           i, block_out_channels[i], attention_head_dim[i], norm_num_groups);
    }
  }
  if (resnet_time_scale_shift != "default" && resnet_time_scale_shift != "scale_shift") {
    fail(Kind::corrupt, "resnet_time_scale_shift {} is not known; expected default or scale_shift",
         resnet_time_scale_shift);
  }
}

Tensor UNetLevel::resampled(const Tensor& h, const Tensor& time,
                            at::OptionalIntArrayRef size) const {
  if (downsample) {
    return downsample->forward(h);
  }
  if (upsample) {
    return upsample->forward(h, size);
  }
  return resample->forward(h, time);
}

UNetTrunk::UNetTrunk(const Scope& scope, const UNetTrunkConfig& config, int time_channels)
    : config_(config),
      time_channels_(time_channels),
      conv_in_(scope / "conv_in", config.in_channels, config.block_out_channels[0], 3, 1, 1),
      mid_block_(mid_level(scope / "mid_block")),
      conv_norm_out_(scope / "conv_norm_out", config.norm_num_groups, config.block_out_channels[0],
                     config.norm_eps),
      conv_out_(scope / "conv_out", config.block_out_channels[0], config.out_channels, 3, 1, 1,
                true, Init::zeros) {
  const int levels = static_cast<int>(config.block_out_channels.size());
  for (int i = 0; i < levels; ++i) {
    down_blocks_.push_back(down_level(scope / "down_blocks" / i, i));
  }
  for (int i = 0; i < levels; ++i) {
    up_blocks_.push_back(up_level(scope / "up_blocks" / i, i));
  }
}

ResnetBlock2D::Options UNetTrunk::resnet(Resample resample) const {
  return {time_channels_, config_.norm_num_groups, config_.norm_eps,
          config_.resnet_time_scale_shift == "scale_shift", resample};
}

std::unique_ptr<SpatialAttention> UNetTrunk::attention(const Scope& scope, Attention kind,
                                                       int level) const {
  const int channels = config_.block_out_channels[static_cast<std::size_t>(level)];
  const int heads = heads_of(config_, kind, level);
  switch (kind) {
    case Attention::transformer:
      return std::make_unique<Transformer2DModel>(
          scope, channels, config_.cross_attention_dim, heads,
          config_.transformer_layers_per_block[static_cast<std::size_t>(level)],
          config_.norm_num_groups, config_.use_linear_projection);
    case Attention::added_kv:
      return std::make_unique<AddedKVAttention>(scope, channels, config_.cross_attention_dim, heads,
                                                config_.norm_num_groups);
    case Attention::self:
      return std::make_unique<SelfAttention2D>(scope, channels, heads, config_.norm_num_groups,
                                               config_.norm_eps);
    case Attention::none:
      break;
  }
  fail(Kind::internal, "no attention to build");
}

UNetLevel UNetTrunk::down_level(const Scope& scope, int index) const {
  const std::vector<int>& channels = config_.block_out_channels;
  const UNetBlockKind& kind = block_kind(config_.down_block_types[static_cast<std::size_t>(index)]);
  const int out = channels[index];
  UNetLevel level;
  for (int j = 0; j < config_.layers_per_block; ++j) {
    const int in = j > 0 ? out : channels[std::max(index - 1, 0)];
    level.resnets.emplace_back(scope / "resnets" / j, in, out, resnet());
    if (kind.attention != Attention::none) {
      level.attentions.push_back(attention(scope / "attentions" / j, kind.attention, index));
    }
  }
  if (index + 1 < static_cast<int>(channels.size())) {
    if (kind.resnet_resamples) {
      level.resample.emplace(scope / "downsamplers" / 0, out, out, resnet(Resample::down));
    } else {
      level.downsample.emplace(scope / "downsamplers" / 0, out, config_.downsample_padding == 0);
    }
  }
  return level;
}

UNetLevel UNetTrunk::up_level(const Scope& scope, int index) const {
  const std::vector<int>& channels = config_.block_out_channels;
  const UNetBlockKind& kind = block_kind(config_.up_block_types[static_cast<std::size_t>(index)]);
  const int levels = static_cast<int>(channels.size());
  const int own = levels - 1 - index;  // the level on the way down that this one answers
  const int out = channels[own];
  const int below = channels[std::min(own + 1, levels - 1)];
  const int above = channels[std::max(own - 1, 0)];
  UNetLevel level;
  for (int j = 0; j <= config_.layers_per_block; ++j) {
    const int from_skip = j == config_.layers_per_block ? above : out;
    const int from_below = j == 0 ? below : out;
    level.resnets.emplace_back(scope / "resnets" / j, from_below + from_skip, out, resnet());
    if (kind.attention != Attention::none) {
      level.attentions.push_back(attention(scope / "attentions" / j, kind.attention, own));
    }
  }
  if (index + 1 < levels) {
    if (kind.resnet_resamples) {
      level.resample.emplace(scope / "upsamplers" / 0, out, out, resnet(Resample::up));
    } else {
      level.upsample.emplace(scope / "upsamplers" / 0, out);
    }
  }
  return level;
}

UNetLevel UNetTrunk::mid_level(const Scope& scope) const {
  const int last = static_cast<int>(config_.block_out_channels.size()) - 1;
  const int channels = config_.block_out_channels.back();
  UNetLevel level;
  for (int j = 0; j < 2; ++j) {
    level.resnets.emplace_back(scope / "resnets" / j, channels, channels, resnet());
  }
  if (config_.mid_block_add_attention) {
    level.attentions.push_back(
        attention(scope / "attentions" / 0, block_kind(config_.mid_block_type).attention, last));
  }
  return level;
}

Tensor UNetTrunk::forward(const Tensor& sample, const Tensor& activated_time,
                          Context& context) const {
  // Weights that this step lays out stay. Among kept memory they would come to lie between the
  // step's own tensors, and the next ones would not fit into what is left.
  std::optional<FrugalMemory> frugal;
  if (conv_in_.pack && !conv_in_.pack->ready_for(sample.sizes())) {
    frugal.emplace();
  }
  Tensor h = conv_in_.forward(sample.contiguous(at::MemoryFormat::ChannelsLast));
  std::vector<Tensor> skips = {h};
  const auto layer = [&](const UNetLevel& level, std::size_t j) {
    h = level.resnets[j].forward(h, activated_time);
    if (j < level.attentions.size()) {
      h = level.attentions[j]->forward(h, context);
    }
  };
  for (const UNetLevel& level : down_blocks_) {
    for (std::size_t j = 0; j < level.resnets.size(); ++j) {
      layer(level, j);
      skips.push_back(h);
    }
    if (&level != &down_blocks_.back()) {
      h = level.resampled(h, activated_time, {});
      skips.push_back(h);
    }
  }
  layer(mid_block_, 0);
  layer(mid_block_, 1);
  for (const UNetLevel& level : up_blocks_) {
    for (std::size_t j = 0; j < level.resnets.size(); ++j) {
      h = at::cat({h, skips.back()}, 1);
      skips.pop_back();
      layer(level, j);
    }
    if (&level != &up_blocks_.back()) {
      // An odd side was halved rounding up: the skip connection's size says what to go back to.
      h = level.resampled(h, activated_time, skips.back().sizes().slice(2));
    }
  }
  return conv_out_.forward(conv_norm_out_.activated(h));
}

}  // namespace longhand
