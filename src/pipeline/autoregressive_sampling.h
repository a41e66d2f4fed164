// Imagining image embeddings with an autoregressive prior (Ramesh et al. 2022, section 2.2).
#pragma once

#include <vector>

#include "core/random.h"
#include "models/autoregressive_prior.h"

namespace longhand {

/// Embeddings [batch, embedding_dim], float32; each row draws from its own stream, first how near
/// to the text it is to come, from the upper half of what there is.
at::Tensor imagined(const AutoregressivePrior& prior, const AutoregressivePrior::Text& text,
                    std::vector<Random>& random);

}  // namespace longhand
