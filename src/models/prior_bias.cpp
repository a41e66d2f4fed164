#include "models/prior_bias.h"

namespace longhand {
namespace {

constexpr double unseen = -10000.0;

}  // namespace

at::Tensor padding_bias(const at::Tensor& mask, std::int64_t beside,
                        const at::TensorOptions& options) {
  return at::constant_pad_nd((1 - mask.to(options)) * unseen, {0, beside})
      .unsqueeze(1)
      .unsqueeze(1);
}

at::Tensor prior_bias(const at::Tensor& mask, std::int64_t beside,
                      const at::TensorOptions& options) {
  const at::Tensor padding = padding_bias(mask, beside, options);
  const std::int64_t tokens = padding.size(3);
  return padding + at::full({tokens, tokens}, unseen, options).triu(1);
}

}  // namespace longhand
