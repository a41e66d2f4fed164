// How the embedded painter attends to a picture's embedding, beside adding it to the timestep's: as
// a token of its context (Ramesh et al. 2022, section 2.1).
#pragma once

#include "nn/torch.h"

namespace longhand {

/// The context [n, length, d] with embeddings [n, d] in the place of the start mark's state, which
/// is the same for every text. Throws corrupt where the widths differ.
at::Tensor with_picture_token(const at::Tensor& context, const at::Tensor& image_embeds);

}  // namespace longhand
