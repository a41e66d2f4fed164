#include "models/autoencoder_tiny.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "models/config.h"
#include "models/strips.h"

namespace longhand {
namespace {

Tensor apply(const TinyLayers& layers, Tensor x) {
  for (const auto& layer : layers) {
    x = std::visit([&](const auto& each) { return each.forward(x); }, layer);
  }
  return x;
}

TinyLayers encoder_layers(const Scope& scope, const AutoencoderTinyConfig& config) {
  TinyLayers layers;
  const auto here = [&] { return scope / static_cast<int>(layers.size()); };
  for (std::size_t level = 0; level < config.num_encoder_blocks.size(); ++level) {
    const int channels = config.encoder_block_out_channels[level];
    if (level == 0) {
      layers.push_back(Conv2d(here(), config.in_channels, channels, 3, 1, 1));
    } else {
      layers.push_back(Conv2d(here(), channels, channels, 3, 2, 1, false));
    }
    for (int i = 0; i < config.num_encoder_blocks[level]; ++i) {
      layers.push_back(TinyBlock(here(), channels));
    }
  }
  layers.push_back(
      Conv2d(here(), config.encoder_block_out_channels.back(), config.latent_channels, 3, 1, 1));
  return layers;
}

TinyLayers decoder_layers(const Scope& scope, const AutoencoderTinyConfig& config) {
  TinyLayers layers;
  const auto here = [&] { return scope / static_cast<int>(layers.size()); };
  layers.push_back(
      Conv2d(here(), config.latent_channels, config.decoder_block_out_channels.front(), 3, 1, 1));
  layers.push_back(TinyActivation());
  for (std::size_t level = 0; level < config.num_decoder_blocks.size(); ++level) {
    const bool last = level + 1 == config.num_decoder_blocks.size();
    const int channels = config.decoder_block_out_channels[level];
    for (int i = 0; i < config.num_decoder_blocks[level]; ++i) {
      layers.push_back(TinyBlock(here(), channels));
    }
    if (!last) {
      layers.push_back(TinyUpsample());
    }
    layers.push_back(
        Conv2d(here(), channels, last ? config.out_channels : channels, 3, 1, 1, last));
  }
  return layers;
}

/// How many rows of latents beyond its own a row of the picture is made of: the sum of what the
/// 3×3 convolutions reach, each at its resolution.
std::int64_t reach_of(const AutoencoderTinyConfig& config) {
  double reach = 1, pixel = 1;
  for (const int blocks : config.num_decoder_blocks) {
    reach += pixel * (3 * blocks + 1);
    pixel /= 2;
  }
  return static_cast<std::int64_t>(std::ceil(reach));
}

/// Peaks of the decoder: a block's input, three maps inside it, and what oneDNN takes besides.
VaeBytes bytes_of(const AutoencoderTinyConfig& config, std::int64_t height, std::int64_t width,
                  at::ScalarType dtype) {
  const std::int64_t row = 5 * config.decoder_block_out_channels.front() * width *
                           static_cast<std::int64_t>(c10::elementSize(dtype));
  const std::int64_t strip = (least_strip_rows + 2 * reach_of(config)) * config.factor();
  return {row * height, row * std::min(height, strip)};
}

void check_levels(const char* name, const std::vector<int>& channels,
                  const std::vector<int>& blocks) {
  const bool equal =
      std::ranges::adjacent_find(channels, std::ranges::not_equal_to()) == channels.end();
  if (channels.empty() || channels.size() > 8 || channels.size() != blocks.size() || !equal) {
    fail(Kind::corrupt,
         "the {}'s levels do not fit: {} widths and {} counts of blocks; expected as many of each, "
         "1 to 8, "
         "all of one width",
         name, channels.size(), blocks.size());
  }
}

}  // namespace

AutoencoderTinyConfig AutoencoderTinyConfig::from_json(const nlohmann::json& config) {
  AutoencoderTinyConfig c;
  c.in_channels = config_value(config, "in_channels", c.in_channels);
  c.out_channels = config_value(config, "out_channels", c.out_channels);
  c.encoder_block_out_channels =
      config_value(config, "encoder_block_out_channels", c.encoder_block_out_channels);
  c.decoder_block_out_channels =
      config_value(config, "decoder_block_out_channels", c.decoder_block_out_channels);
  c.num_encoder_blocks = config_value(config, "num_encoder_blocks", c.num_encoder_blocks);
  c.num_decoder_blocks = config_value(config, "num_decoder_blocks", c.num_decoder_blocks);
  c.latent_channels = config_value(config, "latent_channels", c.latent_channels);
  c.scaling_factor = config_value(config, "scaling_factor", c.scaling_factor);
  check_levels("encoder", c.encoder_block_out_channels, c.num_encoder_blocks);
  check_levels("decoder", c.decoder_block_out_channels, c.num_decoder_blocks);
  return c;
}

TinyBlock::TinyBlock(const Scope& scope, int channels)
    : first(scope / "conv" / 0, channels, channels, 3, 1, 1),
      second(scope / "conv" / 2, channels, channels, 3, 1, 1),
      third(scope / "conv" / 4, channels, channels, 3, 1, 1) {}

Tensor TinyBlock::forward(const Tensor& x) const {
  const Tensor h = third.forward(second.forward(first.forward(x).relu_()).relu_());
  return (h + x).relu_();
}

Tensor TinyUpsample::forward(const Tensor& x) const {
  const std::array<std::int64_t, 2> twice = {x.size(2) * 2, x.size(3) * 2};
  return at::upsample_nearest2d(x, at::IntArrayRef(twice));
}

AutoencoderTiny::AutoencoderTiny(Weights& weights, const AutoencoderTinyConfig& config)
    : config_(config),
      encoder_(encoder_layers(Scope(weights) / "encoder" / "layers", config)),
      decoder_(decoder_layers(Scope(weights) / "decoder" / "layers", config)) {
  weights.finish("AutoencoderTiny");
}

Tensor AutoencoderTiny::encode(const Tensor& pictures) const {
  return apply(encoder_, (pictures + 1) / 2);
}

Tensor AutoencoderTiny::decode(const Tensor& latents) const {
  const Tensor squeezed = (latents / 3).tanh() * 3;
  const VaeBytes bytes = bytes_of(config_, latents.size(2) * factor(), latents.size(3) * factor(),
                                  latents.scalar_type());
  const Tensor pictures =
      within_memory(squeezed, bytes, [&](std::int64_t begin, std::int64_t count, bool in_strips) {
        const Tensor here = squeezed.narrow(0, begin, count);
        return in_strips ? decoded_in_strips(here) : apply(decoder_, here);
      });
  return pictures * 2 - 1;
}

Tensor AutoencoderTiny::decoded_in_strips(const Tensor& latents) const {
  const std::int64_t height = latents.size(2), reach = reach_of(config_);
  std::vector<Tensor> strips;
  for (std::int64_t begin = 0; begin < height; begin += least_strip_rows) {
    const std::int64_t end = std::min(begin + least_strip_rows, height);
    const std::int64_t first = std::max<std::int64_t>(begin - reach, 0);
    const Tensor rows = latents.narrow(2, first, std::min(end + reach, height) - first);
    strips.push_back(apply(decoder_, rows)
                         .narrow(2, (begin - first) * factor(), (end - begin) * factor())
                         .clone());
  }
  return at::cat(strips, 2);
}

std::int64_t AutoencoderTiny::least_bytes(std::int64_t height, std::int64_t width,
                                          at::ScalarType dtype) const {
  return bytes_of(config_, height, width, dtype).in_strips;
}

}  // namespace longhand
