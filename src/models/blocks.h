// Convolutional blocks that the autoencoders and UNets are made of; names as in diffusers. In
// training each residual branch starts at zero (Dhariwal and Nichol 2021, zero_module).
#pragma once

#include <optional>
#include <vector>

#include "nn/doubling.h"
#include "nn/layers.h"

namespace longhand {

enum class Resample { none, down, up };

/// GroupNorm; or, conditioned on latents, norm_layer scaled by conv_y and shifted by conv_b of them
/// (diffusers SpatialNorm, whose 32 groups and epsilon 1e-6 are fixed; Zheng et al. 2022, MoVQ).
struct SpatialNorm {
  /// latent_channels 0: a GroupNorm.
  SpatialNorm(const Scope& scope, int groups, int channels, double epsilon, int latent_channels);
  /// x [batch, channels, h, w]; latents [batch, latent_channels, h', w'] are brought to h and w.
  Tensor forward(const Tensor& x, const Tensor& latents) const;
  /// SiLU of it.
  Tensor activated(const Tensor& x, const Tensor& latents) const;

  GroupNorm norm_layer;
  std::optional<Conv2d> conv_y, conv_b;
};

/// Residual block: norm1, conv1, time_emb_proj, norm2, conv2, conv_shortcut (diffusers
/// ResnetBlock2D, and ResnetBlockCondNorm2D with spatial norms). x [batch, in, h, w] → [batch, out,
/// h, w]; h and w are halved by averaging, or doubled, where it resamples.
struct ResnetBlock2D {
  struct Options {
    int time_channels = 0;  // 0: none
    int groups = 32;
    double epsilon = 1e-5;
    bool scale_shift = false;  // time scales and shifts after norm2, instead of being added before
    Resample resample = Resample::none;
    int latent_channels = 0;  // 0: norms are not conditioned on latents
  };
  ResnetBlock2D(const Scope& scope, int in, int out, const Options& options);
  /// The condition is the activated time [batch, time_channels], or the latents, or undefined.
  Tensor forward(const Tensor& x, const Tensor& condition) const;

  SpatialNorm norm1;
  Conv2d conv1;
  std::optional<Linear> time_emb_proj;
  SpatialNorm norm2;
  Conv2d conv2;
  std::optional<Conv2d> conv_shortcut;
  bool scale_shift;
  Resample resample;
};

/// Halves height and width: a convolution of stride 2; asymmetric pads right and below only, as the
/// autoencoder's encoder does.
struct Downsample2D {
  Downsample2D(const Scope& scope, int channels, bool asymmetric);
  Tensor forward(const Tensor& x) const;

  Conv2d conv;
  bool asymmetric;
};

/// Nearest-neighbour to the given size (twice as large where absent), then a 3×3 convolution.
struct Upsample2D {
  Upsample2D(const Scope& scope, int channels);
  Tensor forward(const Tensor& x, at::OptionalIntArrayRef size = {}) const;

  Conv2d conv;
  std::shared_ptr<const DoublingConvolution> doubling;  // where the scope packs
};

}  // namespace longhand
