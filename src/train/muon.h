// What is Muon's own (Jordan 2024, "Muon: an optimizer for hidden layers in neural networks"):
// which weights it takes, and directions made orthogonal.
#pragma once

#include <string>
#include <vector>

#include "nn/torch.h"

namespace longhand {

/// Muon's parameters: weights of two dimensions and more, but for embeddings and the convolutions
/// at a model's edges ("conv_in", "conv_out"), which with vectors are left to AdamW.
bool is_hidden_matrix(const std::string& name, const at::Tensor& weight);

/// Matrices of one shape that lie one after the other in a flat tensor, from `offset` on.
struct MatrixGroup {
  std::int64_t offset, count, rows, columns;
};

/// Each matrix of the groups, which fill the flat tensor in their order, becomes about the
/// nearest half-orthogonal one, scaled so that the root mean square of its elements is that of
/// AdamW's updates (Liu et al. 2025, equation 4). As torch.optim.Muon with
/// adjust_lr_fn="match_rms_adamw". Called by all ranks, which share the work.
void orthogonalise(at::Tensor& flat, const std::vector<MatrixGroup>& groups);

}  // namespace longhand
