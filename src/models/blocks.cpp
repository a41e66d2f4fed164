#include "models/blocks.h"

namespace longhand {
namespace {

Tensor twice_as_large(const Tensor& x) {
  return at::upsample_nearest2d(x, {x.size(2) * 2, x.size(3) * 2});
}

Tensor resampled(const Tensor& x, Resample resample) {
  switch (resample) {
    case Resample::down:
      return at::avg_pool2d(x, {2, 2}, {2, 2});
    case Resample::up:
      return twice_as_large(x);
    case Resample::none:
      break;
  }
  return x;
}

}  // namespace

SpatialNorm::SpatialNorm(const Scope& scope, int groups, int channels, double epsilon,
                         int latent_channels)
    : norm_layer(latent_channels > 0 ? scope / "norm_layer" : scope,
                 latent_channels > 0 ? 32 : groups, channels,
                 latent_channels > 0 ? 1e-6 : epsilon) {
  if (latent_channels > 0) {
    conv_y.emplace(scope / "conv_y", latent_channels, channels, 1);
    conv_b.emplace(scope / "conv_b", latent_channels, channels, 1);
  }
}

Tensor SpatialNorm::forward(const Tensor& x, const Tensor& latents) const {
  const Tensor normed = norm_layer.forward(x);
  if (!conv_y) {
    return normed;
  }
  const Tensor here = at::upsample_nearest2d(latents, {x.size(2), x.size(3)});
  return at::addcmul(conv_b->forward(here), normed, conv_y->forward(here));
}

Tensor SpatialNorm::activated(const Tensor& x, const Tensor& latents) const {
  return conv_y ? at::silu(forward(x, latents)) : norm_layer.activated(x);
}

ResnetBlock2D::ResnetBlock2D(const Scope& scope, int in, int out, const Options& options)
    : norm1(scope / "norm1", options.groups, in, options.epsilon, options.latent_channels),
      conv1(scope / "conv1", in, out, 3, 1, 1),
      norm2(scope / "norm2", options.groups, out, options.epsilon, options.latent_channels),
      conv2(scope / "conv2", out, out, 3, 1, 1, true, Init::zeros),
      scale_shift(options.scale_shift),
      resample(options.resample) {
  if (options.time_channels > 0) {
    time_emb_proj.emplace(scope / "time_emb_proj", options.time_channels,
                          options.scale_shift ? 2 * out : out);
  }
  if (in != out) {
    conv_shortcut.emplace(scope / "conv_shortcut", in, out, 1);
  }
}

Tensor ResnetBlock2D::forward(const Tensor& x, const Tensor& condition) const {
  Tensor h = conv1.forward(resampled(norm1.activated(x, condition), resample));
  const Tensor time = time_emb_proj ? time_emb_proj->forward(condition) : Tensor();
  if (time_emb_proj && scale_shift) {
    const auto parts = time.chunk(2, 1);
    h = norm2.norm_layer.activated(h, parts[0], parts[1]);
  } else {
    h = norm2.activated(time_emb_proj ? h + time.unsqueeze(2).unsqueeze(3) : h, condition);
  }
  h = conv2.forward(h);
  const Tensor around = resampled(x, resample);
  return (conv_shortcut ? conv_shortcut->forward(around) : around) + h;
}

Downsample2D::Downsample2D(const Scope& scope, int channels, bool asymmetric)
    : conv(scope / "conv", channels, channels, 3, 2, asymmetric ? 0 : 1), asymmetric(asymmetric) {}

Tensor Downsample2D::forward(const Tensor& x) const {
  return conv.forward(asymmetric ? at::constant_pad_nd(x, {0, 1, 0, 1}) : x);
}

Upsample2D::Upsample2D(const Scope& scope, int channels)
    : conv(scope / "conv", channels, channels, 3, 1, 1) {
  if (scope.packs()) {
    doubling =
        std::make_shared<DoublingConvolution>((scope / "conv").channels_last("weight"), conv.bias);
  }
}

Tensor Upsample2D::forward(const Tensor& x, at::OptionalIntArrayRef size) const {
  const std::vector<std::int64_t> twice = {x.size(2) * 2, x.size(3) * 2};
  const at::IntArrayRef target = size ? *size : at::IntArrayRef(twice);
  return doubling && target == at::IntArrayRef(twice)
             ? doubling->forward(x)
             : conv.forward(at::upsample_nearest2d(x, target));
}

}  // namespace longhand
