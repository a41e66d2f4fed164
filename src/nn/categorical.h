// Draws from the shares that logits stand for.
#pragma once

#include <span>

#include "core/random.h"
#include "nn/torch.h"

namespace longhand {

/// An index for each row of logits [rows, choices], drawn by that row's own stream from the row's
/// softmax. int64 [rows].
at::Tensor drawn_indices(const at::Tensor& logits, std::span<Random> streams);

}  // namespace longhand
