#include "nn/layers.h"

#include <cmath>

#include "core/error.h"
#include "nn/flash_attention.h"
#include "nn/fused.h"
#include "nn/trained.h"
#include "nn/trained_convolution.h"

namespace longhand {
namespace {

bool wants_gradient(const Tensor& x) { return c10::GradMode::is_enabled() && x.requires_grad(); }

}  // namespace

Linear::Linear(const Scope& scope, int in, int out, bool with_bias, Init init)
    : weight(scope.take("weight", {out, in}, init)) {
  if (with_bias) {
    bias = scope.take("bias", {out}, Init::zeros);
  }
  if (scope.packs()) {
    weight = pack_linear(weight);
    scope.forget("weight");
  }
}

Tensor Linear::forward(const Tensor& x) const {
  return weight.is_mkldnn() ? packed_linear(x, weight, bias) : at::linear(x, weight, bias);
}

Conv2d::Conv2d(const Scope& scope, int in, int out, int kernel, int stride, int padding,
               bool with_bias, Init init)
    : weight(scope.take("weight", {out, in, kernel, kernel}, init)),
      stride(stride),
      padding(padding) {
  if (with_bias) {
    bias = scope.take("bias", {out}, Init::zeros);
  }
  if (scope.packs()) {
    weight = Tensor();
    pack = std::make_shared<ConvolutionPack>(scope.channels_last("weight"), stride, padding);
  }
}

Tensor Conv2d::forward(const Tensor& x) const {
  if (pack) {
    return pack->forward(x, bias);
  }
  return trained_convolution_helps(x, weight, stride, padding)
             ? trained_convolution(x, weight, bias)
             : at::conv2d(x, weight, bias, stride, padding);
}

GroupNorm::GroupNorm(const Scope& scope, int groups, int channels, double epsilon)
    : weight(scope.take("weight", {channels}, Init::ones)),
      bias(scope.take("bias", {channels}, Init::zeros)),
      groups(groups),
      epsilon(epsilon) {
  if (groups < 1 || channels % groups != 0) {
    fail(Kind::corrupt, "a group norm of {} channels in {} groups, which do not divide them",
         channels, groups);
  }
}

Tensor GroupNorm::forward(const Tensor& x) const {
  return trained(x) ? trained_group_norm(x, groups, weight, bias, epsilon, AfterNorm::nothing)
                    : at::group_norm(x, groups, weight, bias, epsilon);
}

bool GroupNorm::fused(const Tensor& x) const {
  return fuses(x, x.size(1)) && x.is_contiguous(at::MemoryFormat::ChannelsLast) &&
         !wants_gradient(x) && !wants_gradient(weight);
}

bool GroupNorm::trained(const Tensor& x) const {
  return wants_gradient(weight) && fuses(x, x.size(1)) && x.scalar_type() == weight.scalar_type() &&
         x.is_contiguous(at::MemoryFormat::ChannelsLast);
}

Tensor GroupNorm::activated(const Tensor& x) const {
  if (trained(x)) {
    return trained_group_norm(x, groups, weight, bias, epsilon, AfterNorm::silu);
  }
  return fused(x) ? group_norm_silu(x, groups, weight, bias, epsilon) : at::silu(forward(x));
}

Tensor GroupNorm::activated(const Tensor& x, const Tensor& scale, const Tensor& shift) const {
  if (trained(x)) {
    return trained_group_norm(x, groups, weight, bias, epsilon, AfterNorm::silu, scale, shift);
  }
  if (fused(x)) {
    return group_norm_silu(x, groups, weight, bias, epsilon, scale, shift);
  }
  const auto over_map = [](const Tensor& each) { return each.unsqueeze(2).unsqueeze(3); };
  return at::silu(at::addcmul(over_map(shift), forward(x), 1 + over_map(scale)));
}

LayerNorm::LayerNorm(const Scope& scope, int channels, double epsilon)
    : weight(scope.take("weight", {channels}, Init::ones)),
      bias(scope.take("bias", {channels}, Init::zeros)),
      epsilon(epsilon) {}

Tensor LayerNorm::forward(const Tensor& x) const {
  return at::layer_norm(x, {weight.size(0)}, weight, bias, epsilon);
}

Tensor attention(const Tensor& query, const Tensor& key, const Tensor& value, int heads,
                 const Tensor& bias) {
  if (flash_attention_helps(query, key, value)) {
    return flash_attention(query, key, value, heads, bias);
  }
  const auto split = [heads](const Tensor& x) {
    return x.view({x.size(0), x.size(1), heads, x.size(2) / heads}).transpose(1, 2);
  };
  const Tensor q = split(query), k = split(key), v = split(value);
  Tensor mixed;
  if (wants_gradient(query)) {
    // The processor's backward pass of scaled_dot_product_attention is several times slower.
    const double scale = 1.0 / std::sqrt(static_cast<double>(q.size(3)));
    Tensor scores = at::matmul(q * scale, k.transpose(2, 3));
    if (bias.defined()) {
      scores = scores + bias;
    }
    mixed = at::matmul(scores.softmax(-1), v);
  } else {
    mixed = at::scaled_dot_product_attention(
        q, k, v, bias.defined() ? std::optional<Tensor>(bias) : std::nullopt);
  }
  return mixed.transpose(1, 2).reshape({query.size(0), query.size(1), query.size(2)});
}

Tensor geglu(const Tensor& x) {
  if (fuses(x, x.size(-1) / 2) && x.is_contiguous()) {
    return wants_gradient(x) ? trained_geglu(x) : gated_gelu(x);
  }
  const auto halves = x.chunk(2, -1);
  return halves[0] * at::gelu(halves[1]);
}

Tensor causal_bias(std::int64_t length, const at::TensorOptions& options) {
  return at::full({1, 1, length, length}, -std::numeric_limits<float>::infinity(), options).triu(1);
}

Tensor activate(const std::string& name, const Tensor& x) {
  if (name == "silu" || name == "swish") {
    return at::silu(x);
  }
  if (name == "gelu") {
    return at::gelu(x);
  }
  if (name == "quick_gelu") {
    return x * at::sigmoid(1.702 * x);
  }
  if (name == "relu") {
    return at::relu(x);
  }
  fail(Kind::corrupt, "activation {} is not known; expected silu, swish, gelu, quick_gelu or relu",
       name);
}

Tensor timestep_embedding(const Tensor& timesteps, int channels, bool flip_sin_to_cos,
                          double frequency_shift) {
  const int half = channels / 2;
  const Tensor exponent = -std::log(10000.0) *
                          at::arange(half, timesteps.options().dtype(at::kFloat)) /
                          (half - frequency_shift);
  const Tensor angles = timesteps.to(at::kFloat).unsqueeze(1) * exponent.exp().unsqueeze(0);
  const Tensor sine = angles.sin(), cosine = angles.cos();
  Tensor embedding = flip_sin_to_cos ? at::cat({cosine, sine}, 1) : at::cat({sine, cosine}, 1);
  if (channels % 2 == 1) {
    embedding = at::constant_pad_nd(embedding, {0, 1});
  }
  return embedding;
}

}  // namespace longhand
