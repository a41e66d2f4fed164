#include "models/attention.h"

namespace longhand {
namespace {

/// [batch, channels, h, w] → [batch, h·w, channels]; free of copies in channels-last memory.
Tensor to_tokens(const Tensor& map) {
  return map.permute({0, 2, 3, 1}).reshape({map.size(0), map.size(2) * map.size(3), map.size(1)});
}

/// [batch, h·w, channels] → [batch, channels, h, w], of the height and width of `like`.
Tensor to_map(const Tensor& tokens, const Tensor& like) {
  return tokens.view({like.size(0), like.size(2), like.size(3), tokens.size(2)})
      .permute({0, 3, 1, 2});
}

}  // namespace

const Context::KeyValue& Context::of(const void* layer,
                                     const std::function<KeyValue(const Tensor&)>& make) {
  const auto found = kept_.find(layer);
  return found != kept_.end() ? found->second : kept_.emplace(layer, make(states_)).first->second;
}

CrossAttention::CrossAttention(const Scope& scope, int channels, int context_channels, int heads,
                               bool with_bias)
    : to_q(scope / "to_q", channels, channels, with_bias),
      to_k(scope / "to_k", context_channels, channels, with_bias),
      to_v(scope / "to_v", context_channels, channels, with_bias),
      to_out(scope / "to_out" / 0, channels, channels),
      heads(heads) {}

Tensor CrossAttention::forward(const Tensor& x, const Tensor& bias) const {
  return to_out.forward(attention(to_q.forward(x), to_k.forward(x), to_v.forward(x), heads, bias));
}

Tensor CrossAttention::forward(const Tensor& x, Context& context) const {
  const auto& [key, value] = context.of(this, [this](const Tensor& states) {
    return Context::KeyValue{to_k.forward(states), to_v.forward(states)};
  });
  return to_out.forward(attention(to_q.forward(x), key, value, heads));
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

Tensor BasicTransformerBlock::forward(const Tensor& x, Context& context) const {
  Tensor h = x + attn1.forward(norm1.forward(x));
  h = h + attn2.forward(norm2.forward(h), context);
  return h + ff_out.forward(geglu(ff_in.forward(norm3.forward(h))));
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

Tensor Transformer2DModel::forward(const Tensor& x, Context& context) const {
  const Tensor normed = norm.forward(x);
  Tensor h = conv_in ? to_tokens(conv_in->forward(normed)) : linear_in->forward(to_tokens(normed));
  for (const BasicTransformerBlock& block : transformer_blocks) {
    h = block.forward(h, context);
  }
  return x + (conv_out ? conv_out->forward(to_map(h, x)) : to_map(linear_out->forward(h), x));
}

SelfAttention2D::SelfAttention2D(const Scope& scope, int channels, int heads, int groups,
                                 double epsilon, int latent_channels)
    : norm(scope / (latent_channels > 0 ? "spatial_norm" : "group_norm"), groups, channels, epsilon,
           latent_channels),
      core(scope, channels, channels, heads, true) {}

Tensor SelfAttention2D::forward(const Tensor& x, const Tensor& latents) const {
  return x + to_map(core.forward(to_tokens(norm.forward(x, latents))), x);
}

AddedKVAttention::AddedKVAttention(const Scope& scope, int channels, int context_channels,
                                   int heads, int groups)
    : group_norm(scope / "group_norm", groups, channels, 1e-5),
      to_q(scope / "to_q", channels, channels),
      to_k(scope / "to_k", channels, channels),
      to_v(scope / "to_v", channels, channels),
      add_k_proj(scope / "add_k_proj", context_channels, channels),
      add_v_proj(scope / "add_v_proj", context_channels, channels),
      to_out(scope / "to_out" / 0, channels, channels, true, Init::zeros),
      heads(heads) {}

Tensor AddedKVAttention::forward(const Tensor& x, Context& context) const {
  const Tensor tokens = to_tokens(group_norm.forward(x));
  const auto& added = context.of(this, [this](const Tensor& states) {
    return Context::KeyValue{add_k_proj.forward(states), add_v_proj.forward(states)};
  });
  const Tensor key = at::cat({added.key, to_k.forward(tokens)}, 1);
  const Tensor value = at::cat({added.value, to_v.forward(tokens)}, 1);
  Tensor bias;
  if (context.mask().defined()) {  // positions see one another always
    bias = at::constant_pad_nd(context.mask(), {0, tokens.size(1)}).to(tokens.scalar_type());
  }
  const Tensor mixed = attention(to_q.forward(tokens), key, value, heads, bias);
  return x + to_map(to_out.forward(mixed), x);
}

}  // namespace longhand
