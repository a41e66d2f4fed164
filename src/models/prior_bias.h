// What the tokens of a prior see, as numbers added to attention's scores: -10000 for the text's
// padding and for what comes later (diffusers' PriorTransformer).
#pragma once

#include "nn/torch.h"

namespace longhand {

/// mask [batch, text] is 1 where the text has a token; `beside` tokens follow it, all to be seen.
/// [batch, 1, 1, text + beside].
at::Tensor padding_bias(const at::Tensor& mask, std::int64_t beside,
                        const at::TensorOptions& options);
/// The same, and nothing that comes later: [batch, 1, text + beside, text + beside].
at::Tensor prior_bias(const at::Tensor& mask, std::int64_t beside,
                      const at::TensorOptions& options);

}  // namespace longhand
