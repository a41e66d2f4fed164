// AutoencoderTiny: convolutions and ReLU without norms (diffusers AutoencoderTiny, after TAESD).
// Small and quick to train. Without norms and attention, what lies far from a row does not change
// it, so that pictures can be decoded in strips.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <variant>
#include <vector>

#include "models/autoencoder.h"
#include "nn/layers.h"

namespace longhand {

struct AutoencoderTinyConfig {
  int in_channels = 3;
  int out_channels = 3;
  std::vector<int> encoder_block_out_channels = {64, 64, 64, 64};
  std::vector<int> decoder_block_out_channels = {64, 64, 64, 64};
  std::vector<int> num_encoder_blocks = {1, 3, 3, 3};
  std::vector<int> num_decoder_blocks = {3, 3, 3, 1};
  int latent_channels = 4;
  double scaling_factor = 1.0;

  static AutoencoderTinyConfig from_json(const nlohmann::json& config);
  int factor() const { return 1 << (num_encoder_blocks.size() - 1); }
};

/// conv.0, ReLU, conv.2, ReLU, conv.4, a residual, ReLU (diffusers AutoencoderTinyBlock).
struct TinyBlock {
  TinyBlock(const Scope& scope, int channels);
  Tensor forward(const Tensor& x) const;

  Conv2d first, second, third;
};

/// Applies ReLU; a place in a sequence that holds no weights.
struct TinyActivation {
  Tensor forward(const Tensor& x) const { return at::relu(x); }
};

/// Doubles height and width, nearest neighbour.
struct TinyUpsample {
  Tensor forward(const Tensor& x) const;
};

/// A sequence whose members are named by their places, as torch's Sequential names them.
using TinyLayers = std::vector<std::variant<Conv2d, TinyBlock, TinyActivation, TinyUpsample>>;

class AutoencoderTiny : public Autoencoder {
 public:
  AutoencoderTiny(Weights& weights, const AutoencoderTinyConfig& config);

  /// Latents [batch, latent_channels, H/f, W/f], not scaled: f = 2^(levels - 1).
  Tensor encode(const Tensor& pictures) const;
  /// Latents (not scaled; squeezed into -3…3) → pictures, about -1…1.
  Tensor decode(const Tensor& latents) const;

  Tensor latents_of(const Tensor& pictures) const override {
    return encode(pictures) * config_.scaling_factor;
  }
  Tensor pictures_of(const Tensor& latents) const override {
    return decode(latents / config_.scaling_factor);
  }
  int factor() const override { return config_.factor(); }
  int latent_channels() const override { return config_.latent_channels; }
  std::int64_t least_bytes(std::int64_t height, std::int64_t width,
                           at::ScalarType dtype) const override;

 private:
  Tensor decoded_in_strips(const Tensor& latents) const;

  AutoencoderTinyConfig config_;
  TinyLayers encoder_, decoder_;
};

}  // namespace longhand
