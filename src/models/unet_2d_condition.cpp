#include "models/unet_2d_condition.h"

#include "core/error.h"
#include "models/config.h"

namespace longhand {
namespace {

bool has_attention(const std::string& type) {
  if (type == "CrossAttnDownBlock2D" || type == "CrossAttnUpBlock2D") {
    return true;
  }
  if (type == "DownBlock2D" || type == "UpBlock2D") {
    return false;
  }
  fail(Kind::corrupt,
       "UNet block type {} is not supported; expected (CrossAttn)DownBlock2D or UpBlock2D", type);
}

}  // namespace

UNet2DConditionConfig UNet2DConditionConfig::from_json(const nlohmann::json& config) {
  UNet2DConditionConfig c;
  c.in_channels = config_value(config, "in_channels", c.in_channels);
  c.out_channels = config_value(config, "out_channels", c.out_channels);
  c.block_out_channels = config_value(config, "block_out_channels", c.block_out_channels);
  c.down_block_types = config_value(config, "down_block_types", c.down_block_types);
  c.up_block_types = config_value(config, "up_block_types", c.up_block_types);
  c.layers_per_block = config_value(config, "layers_per_block", c.layers_per_block);
  c.cross_attention_dim = config_value(config, "cross_attention_dim", c.cross_attention_dim);
  c.norm_num_groups = config_value(config, "norm_num_groups", c.norm_num_groups);
  c.norm_eps = config_value(config, "norm_eps", c.norm_eps);
  c.use_linear_projection = config_value(config, "use_linear_projection", c.use_linear_projection);
  c.flip_sin_to_cos = config_value(config, "flip_sin_to_cos", c.flip_sin_to_cos);
  c.freq_shift = config_value(config, "freq_shift", c.freq_shift);
  c.sample_size = config_value(config, "sample_size", c.sample_size);
  const std::size_t levels = c.block_out_channels.size();
  if (levels == 0 || c.down_block_types.size() != levels || c.up_block_types.size() != levels) {
    fail(Kind::corrupt,
         "the UNet has {} block_out_channels, {} down and {} up blocks; they must agree", levels,
         c.down_block_types.size(), c.up_block_types.size());
  }
  const char* heads =
      config.contains("num_attention_heads") && !config["num_attention_heads"].is_null()
          ? "num_attention_heads"
          : "attention_head_dim";
  c.attention_heads = config_per_block(config, heads, 8, levels);
  c.transformer_layers_per_block =
      config_per_block(config, "transformer_layers_per_block", 1, levels);
  for (std::size_t i = 0; i < levels; ++i) {
    if (c.attention_heads[i] < 1 || c.block_out_channels[i] % c.attention_heads[i] != 0 ||
        c.norm_num_groups < 1 || c.block_out_channels[i] % c.norm_num_groups != 0) {
      fail(Kind::corrupt,
           "UNet level {}: {} channels do not divide into {} heads and {} norm groups", i,
           c.block_out_channels[i], c.attention_heads[i], c.norm_num_groups);
    }
  }
  return c;
}

UNet2DConditionModel::UNet2DConditionModel(Weights& weights, const UNet2DConditionConfig& config)
    : config_(config),
      conv_in_(Scope(weights) / "conv_in", config.in_channels, config.block_out_channels[0], 3, 1,
               1),
      time_in_(Scope(weights) / "time_embedding" / "linear_1", config.block_out_channels[0],
               config.block_out_channels[0] * 4),
      time_out_(Scope(weights) / "time_embedding" / "linear_2", config.block_out_channels[0] * 4,
                config.block_out_channels[0] * 4),
      mid_first_(Scope(weights) / "mid_block" / "resnets" / 0, config.block_out_channels.back(),
                 config.block_out_channels.back(), config.block_out_channels[0] * 4,
                 config.norm_num_groups, config.norm_eps),
      mid_attention_(transformer(Scope(weights) / "mid_block" / "attentions" / 0,
                                 static_cast<int>(config.block_out_channels.size()) - 1)),
      mid_second_(Scope(weights) / "mid_block" / "resnets" / 1, config.block_out_channels.back(),
                  config.block_out_channels.back(), config.block_out_channels[0] * 4,
                  config.norm_num_groups, config.norm_eps),
      conv_norm_out_(Scope(weights) / "conv_norm_out", config.norm_num_groups,
                     config.block_out_channels[0], config.norm_eps),
      conv_out_(Scope(weights) / "conv_out", config.block_out_channels[0], config.out_channels, 3,
                1, 1, true, Init::zeros) {
  const int levels = static_cast<int>(config.block_out_channels.size());
  for (int i = 0; i < levels; ++i) {
    down_blocks_.push_back(down_level(Scope(weights) / "down_blocks" / i, i));
  }
  for (int i = 0; i < levels; ++i) {
    up_blocks_.push_back(up_level(Scope(weights) / "up_blocks" / i, i));
  }
  weights.finish("UNet2DConditionModel");
}

Transformer2DModel UNet2DConditionModel::transformer(const Scope& scope, int level) const {
  return Transformer2DModel(scope, config_.block_out_channels[level], config_.cross_attention_dim,
                            config_.attention_heads[level],
                            config_.transformer_layers_per_block[level], config_.norm_num_groups,
                            config_.use_linear_projection);
}

UNetLevel UNet2DConditionModel::down_level(const Scope& scope, int index) const {
  const std::vector<int>& channels = config_.block_out_channels;
  const int out = channels[index];
  UNetLevel level;
  for (int j = 0; j < config_.layers_per_block; ++j) {
    const int in = j > 0 ? out : channels[std::max(index - 1, 0)];
    level.resnets.emplace_back(scope / "resnets" / j, in, out, channels[0] * 4,
                               config_.norm_num_groups, config_.norm_eps);
    if (has_attention(config_.down_block_types[index])) {
      level.attentions.push_back(transformer(scope / "attentions" / j, index));
    }
  }
  if (index + 1 < static_cast<int>(channels.size())) {
    level.downsample.emplace(scope / "downsamplers" / 0, out, false);
  }
  return level;
}

UNetLevel UNet2DConditionModel::up_level(const Scope& scope, int index) const {
  const std::vector<int>& channels = config_.block_out_channels;
  const int levels = static_cast<int>(channels.size());
  const int own = levels - 1 - index;  // the level on the way down that this one answers
  const int out = channels[own];
  const int below = channels[std::min(own + 1, levels - 1)];
  const int above = channels[std::max(own - 1, 0)];
  UNetLevel level;
  for (int j = 0; j <= config_.layers_per_block; ++j) {
    const int from_skip = j == config_.layers_per_block ? above : out;
    const int from_below = j == 0 ? below : out;
    level.resnets.emplace_back(scope / "resnets" / j, from_below + from_skip, out, channels[0] * 4,
                               config_.norm_num_groups, config_.norm_eps);
    if (has_attention(config_.up_block_types[index])) {
      level.attentions.push_back(transformer(scope / "attentions" / j, own));
    }
  }
  if (index + 1 < levels) {
    level.upsample.emplace(scope / "upsamplers" / 0, out);
  }
  return level;
}

Tensor UNet2DConditionModel::down(const UNetLevel& level, Tensor h, const Tensor& time,
                                  const Tensor& context, std::vector<Tensor>& skips) const {
  for (std::size_t j = 0; j < level.resnets.size(); ++j) {
    h = level.resnets[j].forward(h, time);
    if (!level.attentions.empty()) {
      h = level.attentions[j].forward(h, context);
    }
    skips.push_back(h);
  }
  if (level.downsample) {
    h = level.downsample->forward(h);
    skips.push_back(h);
  }
  return h;
}

Tensor UNet2DConditionModel::up(const UNetLevel& level, Tensor h, const Tensor& time,
                                const Tensor& context, std::vector<Tensor>& skips) const {
  for (std::size_t j = 0; j < level.resnets.size(); ++j) {
    h = level.resnets[j].forward(at::cat({h, skips.back()}, 1), time);
    skips.pop_back();
    if (!level.attentions.empty()) {
      h = level.attentions[j].forward(h, context);
    }
  }
  // An odd side was halved rounding up: the skip connection's size says what to go back to.
  return level.upsample ? level.upsample->forward(h, skips.back().sizes().slice(2)) : h;
}

Tensor UNet2DConditionModel::forward(const Tensor& sample, const Tensor& timesteps,
                                     const Tensor& context) const {
  const Tensor embedding = timestep_embedding(timesteps, config_.block_out_channels[0],
                                              config_.flip_sin_to_cos, config_.freq_shift)
                               .to(sample.scalar_type());
  const Tensor time = at::silu(time_out_.forward(at::silu(time_in_.forward(embedding))));
  Tensor h = conv_in_.forward(sample.contiguous(at::MemoryFormat::ChannelsLast));
  std::vector<Tensor> skips = {h};
  for (const UNetLevel& level : down_blocks_) {
    h = down(level, h, time, context, skips);
  }
  h = mid_first_.forward(h, time);
  h = mid_attention_.forward(h, context);
  h = mid_second_.forward(h, time);
  for (const UNetLevel& level : up_blocks_) {
    h = up(level, h, time, context, skips);
  }
  return conv_out_.forward(at::silu(conv_norm_out_.forward(h)));
}

}  // namespace longhand
