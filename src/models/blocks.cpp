#include "models/blocks.h"

namespace longhand {

ResnetBlock2D::ResnetBlock2D(const Scope& scope, int in, int out, int time_channels, int groups,
                             double epsilon)
    : norm1(scope / "norm1", groups, in, epsilon),
      conv1(scope / "conv1", in, out, 3, 1, 1),
      norm2(scope / "norm2", groups, out, epsilon),
      conv2(scope / "conv2", out, out, 3, 1, 1, true, Init::zeros) {
  if (time_channels > 0) {
    time_emb_proj.emplace(scope / "time_emb_proj", time_channels, out);
  }
  if (in != out) {
    conv_shortcut.emplace(scope / "conv_shortcut", in, out, 1);
  }
}

Tensor ResnetBlock2D::forward(const Tensor& x, const Tensor& activated_time) const {
  Tensor h = conv1.forward(at::silu(norm1.forward(x)));
  if (time_emb_proj) {
    h = h + time_emb_proj->forward(activated_time).unsqueeze(2).unsqueeze(3);
  }
  h = conv2.forward(at::silu(norm2.forward(h)));
  return (conv_shortcut ? conv_shortcut->forward(x) : x) + h;
}

Downsample2D::Downsample2D(const Scope& scope, int channels, bool asymmetric)
    : conv(scope / "conv", channels, channels, 3, 2, asymmetric ? 0 : 1), asymmetric(asymmetric) {}

Tensor Downsample2D::forward(const Tensor& x) const {
  return conv.forward(asymmetric ? at::constant_pad_nd(x, {0, 1, 0, 1}) : x);
}

Upsample2D::Upsample2D(const Scope& scope, int channels)
    : conv(scope / "conv", channels, channels, 3, 1, 1) {}

Tensor Upsample2D::forward(const Tensor& x, at::OptionalIntArrayRef size) const {
  const std::array<std::int64_t, 2> twice = {x.size(2) * 2, x.size(3) * 2};
  return conv.forward(at::upsample_nearest2d(x, size ? *size : at::IntArrayRef(twice)));
}

CrossAttention::CrossAttention(const Scope& scope, int channels, int context_channels, int heads,
                               bool with_bias)
    : to_q(scope / "to_q", channels, channels, with_bias),
      to_k(scope / "to_k", context_channels, channels, with_bias),
      to_v(scope / "to_v", context_channels, channels, with_bias),
      to_out(scope / "to_out" / 0, channels, channels),
      heads(heads) {}

Tensor CrossAttention::forward(const Tensor& x, const Tensor& context) const {
  return to_out.forward(
      attention(to_q.forward(x), to_k.forward(context), to_v.forward(context), heads));
}

BasicTransformerBlock::BasicTransformerBlock(const Scope& scope, int channels, int context_channels,
                                             int heads)
    : norm1(scope / "norm1", channels),
      attn1(scope / "attn1", channels, channels, heads, false),
      norm2(scope / "norm2", channels),
      attn2(scope / "attn2", channels, context_channels, heads, false),
      norm3(scope / "norm3", channels),
      ff_in(scope / "ff" / "net" / 0 / "proj", channels, channels * 8),
      ff_out(scope / "ff" / "net" / 2, channels * 4, channels) {}

Tensor BasicTransformerBlock::forward(const Tensor& x, const Tensor& context) const {
  const Tensor self = norm1.forward(x);
  Tensor h = x + attn1.forward(self, self);
  h = h + attn2.forward(norm2.forward(h), context);
  const auto gated = ff_in.forward(norm3.forward(h)).chunk(2, -1);
  return h + ff_out.forward(gated[0] * at::gelu(gated[1]));
}

Transformer2DModel::Transformer2DModel(const Scope& scope, int channels, int context_channels,
                                       int heads, int layers, int groups,
                                       bool use_linear_projection)
    : norm(scope / "norm", groups, channels, 1e-6) {
  if (use_linear_projection) {
    linear_in.emplace(scope / "proj_in", channels, channels);
  } else {
    conv_in.emplace(scope / "proj_in", channels, channels, 1);
  }
  for (int i = 0; i < layers; ++i) {
    transformer_blocks.emplace_back(scope / "transformer_blocks" / i, channels, context_channels,
                                    heads);
  }
  if (use_linear_projection) {
    linear_out.emplace(scope / "proj_out", channels, channels, true, Init::zeros);
  } else {
    conv_out.emplace(scope / "proj_out", channels, channels, 1, 1, 0, true, Init::zeros);
  }
}

Tensor Transformer2DModel::forward(const Tensor& x, const Tensor& context) const {
  const std::int64_t batch = x.size(0), channels = x.size(1), height = x.size(2), width = x.size(3);
  const auto to_tokens = [&](const Tensor& map) {  // free of copies in channels-last memory
    return map.permute({0, 2, 3, 1}).reshape({batch, height * width, channels});
  };
  const auto to_map = [&](const Tensor& tokens) {
    return tokens.view({batch, height, width, channels}).permute({0, 3, 1, 2});
  };
  const Tensor normed = norm.forward(x);
  Tensor h = conv_in ? to_tokens(conv_in->forward(normed)) : linear_in->forward(to_tokens(normed));
  for (const BasicTransformerBlock& block : transformer_blocks) {
    h = block.forward(h, context);
  }
  return x + (conv_out ? conv_out->forward(to_map(h)) : to_map(linear_out->forward(h)));
}

}  // namespace longhand
