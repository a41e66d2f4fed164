#include "nn/trained.h"

#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <numbers>

#include "nn/fused.h"
#include "nn/lanes.h"
#include "nn/map_parts.h"
#include "nn/parallel.h"

namespace longhand {
namespace {

using at::BFloat16;
using at::Tensor;
using std::int64_t;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// What one picture's gradient at u = x · scale + shift becomes on its way back through the norm:
/// du · scale + x · slope + offset. Rows of [channels] each.
struct Rows {
  const float *scale, *shift, *slope, *offset;
};

/// gradient · silu'(x · scale + shift).
[[gnu::always_inline]] inline void through_silu(const Lanes& x, const float* scale,
                                                const float* shift, Lanes& gradient) {
  Lanes u, terms;
  load(scale, u);
  load(shift, terms);
  u = x * u + terms;
  Lanes power = u * -std::numbers::log2e_v<float>;
  exp2(power);
  const Lanes sigmoid = 1.0F / (1.0F + power);
  gradient = gradient * (sigmoid * (1.0F + u * (1.0F - sigmoid)));
}

/// Adds the sums over the pixels of du and of du · x to sums [2, channels].
template <bool silu, class T>
[[gnu::always_inline]] inline void add_sums(const T* x, const T* gradient, int64_t pixels,
                                            int64_t channels, const Rows& rows, float* sums) {
  for (int64_t pixel = 0; pixel < pixels; ++pixel, x += channels, gradient += channels) {
    for (int64_t i = 0; i < channels; i += lane_count) {
      Lanes value, change, first, second;
      load(x + i, value);
      load(gradient + i, change);
      if constexpr (silu) {
        through_silu(value, rows.scale + i, rows.shift + i, change);
      }
      load(sums + i, first);
      load(sums + channels + i, second);
      first += change;
      second += change * value;
      store(first, sums + i);
      store(second, sums + channels + i);
    }
  }
}

template <bool silu, class T>
[[gnu::always_inline]] inline void input_gradient(const T* x, const T* gradient, int64_t pixels,
                                                  int64_t channels, const Rows& rows, T* to) {
  for (int64_t pixel = 0; pixel < pixels;
       ++pixel, x += channels, gradient += channels, to += channels) {
    for (int64_t i = 0; i < channels; i += lane_count) {
      Lanes value, change, scale, slope, offset;
      load(x + i, value);
      load(gradient + i, change);
      if constexpr (silu) {
        through_silu(value, rows.scale + i, rows.shift + i, change);
      }
      load(rows.scale + i, scale);
      load(rows.slope + i, slope);
      load(rows.offset + i, offset);
      change = change * scale + value * slope + offset;
      store(change, to + i);
    }
  }
}

/// rows × [channels] and x, rows × [2·channels] → the gradient at x, of its size: with x = (a, b),
/// gradient · gelu(b) and gradient · a · gelu'(b).
template <class T>
[[gnu::always_inline]] inline void geglu_gradient(const T* x, const T* gradient, int64_t rows,
                                                  int64_t channels, T* to) {
  constexpr float half_log2_e = 0.721347520F, inverse_root = 0.398942280F;  // 1 / √(2π)
  for (int64_t row = 0; row < rows;
       ++row, x += 2 * channels, to += 2 * channels, gradient += channels) {
    for (int64_t i = 0; i < channels; i += lane_count) {
      Lanes a, b, change, share, density;
      load(x + i, a);
      load(x + channels + i, b);
      load(gradient + i, change);
      share = b;
      normal_cdf(share);
      density = b * b * -half_log2_e;
      exp2(density);
      const Lanes to_a = change * (b * share);
      const Lanes to_b = change * a * (share + b * density * inverse_root);
      store(to_a, to + i);
      store(to_b, to + channels + i);
    }
  }
}

// The compiler makes versions of plain functions only, hence one for each type.
LONGHAND_CLONES void sum_part(const float* x, const float* gradient, int64_t pixels,
                              int64_t channels, const Rows& rows, bool silu, float* sums) {
  silu ? add_sums<true>(x, gradient, pixels, channels, rows, sums)
       : add_sums<false>(x, gradient, pixels, channels, rows, sums);
}
LONGHAND_CLONES void sum_part(const BFloat16* x, const BFloat16* gradient, int64_t pixels,
                              int64_t channels, const Rows& rows, bool silu, float* sums) {
  silu ? add_sums<true>(x, gradient, pixels, channels, rows, sums)
       : add_sums<false>(x, gradient, pixels, channels, rows, sums);
}
LONGHAND_CLONES void change_part(const float* x, const float* gradient, int64_t pixels,
                                 int64_t channels, const Rows& rows, bool silu, float* to) {
  silu ? input_gradient<true>(x, gradient, pixels, channels, rows, to)
       : input_gradient<false>(x, gradient, pixels, channels, rows, to);
}
LONGHAND_CLONES void change_part(const BFloat16* x, const BFloat16* gradient, int64_t pixels,
                                 int64_t channels, const Rows& rows, bool silu, BFloat16* to) {
  silu ? input_gradient<true>(x, gradient, pixels, channels, rows, to)
       : input_gradient<false>(x, gradient, pixels, channels, rows, to);
}
LONGHAND_CLONES void geglu_part(const float* x, const float* gradient, int64_t rows,
                                int64_t channels, float* to) {
  geglu_gradient(x, gradient, rows, channels, to);
}
LONGHAND_CLONES void geglu_part(const BFloat16* x, const BFloat16* gradient, int64_t rows,
                                int64_t channels, BFloat16* to) {
  geglu_gradient(x, gradient, rows, channels, to);
}

/// The rows of the picture that a part belongs to; `backwards` may be undefined.
Rows rows_of(const Tensor& x, const Tensor& affine, const Tensor& backwards, int64_t part) {
  const int64_t channels = x.size(1), at = part / parts_of(x) * 2 * channels;
  const float* forwards = affine.const_data_ptr<float>() + at;
  const float* back = backwards.defined() ? backwards.const_data_ptr<float>() + at : nullptr;
  return {forwards, forwards + channels, back, back != nullptr ? back + channels : nullptr};
}

/// Sums over the pixels of du and of du · x → float64 [batch, 2, channels].
template <class T>
Tensor sums_of(const Tensor& x, const Tensor& gradient, const Tensor& affine, bool silu) {
  const int64_t channels = x.size(1);
  const Tensor sums = at::zeros({x.size(0), parts_of(x), 2, channels}, at::kFloat);
  auto* to = sums.mutable_data_ptr<float>();
  const T *values = x.const_data_ptr<T>(), *changes = gradient.const_data_ptr<T>();
  each_part(x, [&](int64_t part, int64_t offset, int64_t count) {
    sum_part(values + offset, changes + offset, count, channels, rows_of(x, affine, {}, part), silu,
             to + part * 2 * channels);
  });
  return sums.sum(at::IntArrayRef{1}, false, at::kDouble);
}

template <class T>
Tensor gradient_of_input(const Tensor& x, const Tensor& gradient, const Tensor& affine,
                         const Tensor& backwards, bool silu) {
  Tensor y = at::empty_like(x);
  const T *values = x.const_data_ptr<T>(), *changes = gradient.const_data_ptr<T>();
  T* to = y.mutable_data_ptr<T>();
  each_part(x, [&](int64_t part, int64_t offset, int64_t count) {
    change_part(values + offset, changes + offset, count, x.size(1),
                rows_of(x, affine, backwards, part), silu, to + offset);
  });
  return y;
}

/// Mean and inverse deviation [batch, groups] from moments [batch, 2, channels], in float64.
std::pair<Tensor, Tensor> statistics(const Tensor& moments, int64_t pixels, int64_t groups,
                                     double epsilon) {
  const Tensor means =
      moments.view({moments.size(0), 2, groups, -1}).mean(3).div_(static_cast<double>(pixels));
  const Tensor mean = means.select(1, 0), square = means.select(1, 1);
  return {mean, (square - mean.square()).clamp_min(0).add(epsilon).rsqrt()};
}

struct TrainedGroupNorm : torch::autograd::Function<TrainedGroupNorm> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& weight,
                        const Tensor& bias, const std::optional<Tensor>& given_scale,
                        const std::optional<Tensor>& given_shift, int64_t groups, double epsilon,
                        bool silu) {
    const Tensor scale = given_scale.value_or(Tensor()), shift = given_shift.value_or(Tensor());
    const Tensor moments = channel_moments(x);
    const Tensor affine = group_norm_affine(moments, x.size(2) * x.size(3),
                                            static_cast<int>(groups), weight, bias, epsilon);
    modulate(affine, scale, shift);
    context->save_for_backward({x, weight, bias, scale, shift, moments, affine});
    context->saved_data["groups"] = groups;
    context->saved_data["epsilon"] = epsilon;
    context->saved_data["silu"] = silu;
    return silu ? affine_silu(x, affine) : affine_map(x, affine);
  }

  // With u = m (w x̂ + b) + t, x̂ = (x - mean) r and m = 1 + scale, the sums of du and of du x̂ over
  // the pixels are all that the parameters need; those over a group of m w times these are what the
  // mean and the deviation give back to each x (Wu and He 2018, equation 1, differentiated).
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1], &bias = saved[2], &scale = saved[3],
                 &shift = saved[4], &affine = saved[6];
    const int64_t groups = context->saved_data["groups"].toInt(), batch = x.size(0);
    const bool silu = context->saved_data["silu"].toBool();
    const Tensor gradient =
        gradients[0].to(x.scalar_type()).contiguous(at::MemoryFormat::ChannelsLast);
    const bool wide = x.scalar_type() == at::kFloat;
    const auto [mean, inverse] = statistics(saved[5], x.size(2) * x.size(3), groups,
                                            context->saved_data["epsilon"].toDouble());
    const auto over_groups = [&](const Tensor& t) { return t.view({batch, groups, -1}); };
    const auto over_channels = [&](const Tensor& t) { return t.reshape({batch, -1}); };

    const Tensor sums = wide ? sums_of<float>(x, gradient, affine, silu)
                             : sums_of<BFloat16>(x, gradient, affine, silu);
    const Tensor plain = sums.select(1, 0).contiguous();
    const Tensor normed = over_channels(
        (over_groups(sums.select(1, 1).contiguous()) - over_groups(plain) * mean.unsqueeze(2)) *
        inverse.unsqueeze(2));
    const Tensor w = weight.to(at::kDouble), b = bias.to(at::kDouble);
    const Tensor m = scale.defined() ? 1 + scale.to(at::kDouble) : at::ones_like(plain);

    const double count = static_cast<double>(x.numel() / (batch * groups));
    const auto group_mean = [&](const Tensor& t) { return over_groups(t * m * w).sum(2) / count; };
    const Tensor slope = -inverse.square() * group_mean(normed);
    const Tensor offset = -inverse * group_mean(plain) - mean * slope;
    const int64_t group = x.size(1) / groups;
    const Tensor backwards =
        at::stack({slope, offset}, 1).to(at::kFloat).repeat_interleave(group, 2).contiguous();
    const Tensor input = wide ? gradient_of_input<float>(x, gradient, affine, backwards, silu)
                              : gradient_of_input<BFloat16>(x, gradient, affine, backwards, silu);
    Tensor to_scale, to_shift;
    if (scale.defined()) {
      to_scale = (normed * w + plain * b).to(scale.scalar_type());
      to_shift = plain.to(shift.scalar_type());
    }
    return {input,
            (normed * m).sum(0).to(weight.scalar_type()),
            (plain * m).sum(0).to(bias.scalar_type()),
            to_scale,
            to_shift,
            Tensor(),
            Tensor(),
            Tensor()};
  }
};

template <class T>
Tensor geglu_gradient_of(const Tensor& x, const Tensor& gradient) {
  Tensor to = at::empty_like(x);
  const int64_t channels = gradient.size(-1);
  const T *values = x.const_data_ptr<T>(), *changes = gradient.const_data_ptr<T>();
  T* data = to.mutable_data_ptr<T>();
  parallel_for(gradient.numel() / channels, [&](int64_t begin, int64_t end) {
    geglu_part(values + begin * 2 * channels, changes + begin * channels, end - begin, channels,
               data + begin * 2 * channels);
  });
  return to;
}

struct TrainedGeglu : torch::autograd::Function<TrainedGeglu> {
  static Tensor forward(AutogradContext* context, const Tensor& x) {
    context->save_for_backward({x});
    return gated_gelu(x);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const Tensor x = context->get_saved_variables()[0];
    const Tensor gradient = gradients[0].to(x.scalar_type()).contiguous();
    return {x.scalar_type() == at::kFloat ? geglu_gradient_of<float>(x, gradient)
                                          : geglu_gradient_of<BFloat16>(x, gradient)};
  }
};

}  // namespace

Tensor trained_geglu(const Tensor& x) { return TrainedGeglu::apply(x); }

Tensor trained_group_norm(const Tensor& x, int groups, const Tensor& weight, const Tensor& bias,
                          double epsilon, AfterNorm after, const Tensor& scale,
                          const Tensor& shift) {
  const auto given = [](const Tensor& t) { return t.defined() ? std::optional(t) : std::nullopt; };
  return TrainedGroupNorm::apply(x, weight, bias, given(scale), given(shift),
                                 static_cast<int64_t>(groups), epsilon, after == AfterNorm::silu);
}

}  // namespace longhand
