// On the sphere of CLIP's embeddings: interpolations and text differences (Ramesh et al. 2022,
// sections 3.2 and 3.3). Computed in float64; the outcome has the type of the first argument.
#pragma once

#include "nn/torch.h"

namespace longhand {

/// Spherical interpolation of vectors [d] (Shoemake 1985): from `a` at 0 to `b` at 1 along the
/// great circle, the length from one to the other in proportion. Between opposite vectors, which
/// no one great circle joins, it goes by the axis that `a` is farthest from. Throws
/// invalid_argument for a vector of zeros.
at::Tensor slerp(const at::Tensor& a, const at::Tensor& b, double part);

/// Embeddings [k, d], k > 1 → [count, d], evenly along the chain from the first to the last; every
/// one of them is met where count - 1 is a multiple of k - 1.
at::Tensor along_chain(const at::Tensor& embeds, int count);

/// Text embeddings [d] of two captions → the unit vector z_d [d] from one to the other, both taken
/// at length 1. Throws invalid_argument where they are equal.
at::Tensor text_difference(const at::Tensor& from, const at::Tensor& to);

/// A picture's embedding [d] rotated towards a unit vector z_d: [count, d], slerp(embed, z_d, θ)
/// at the embedding's own length for θ from 0 to `theta`.
at::Tensor along_difference(const at::Tensor& embed, const at::Tensor& difference, double theta,
                            int count);

}  // namespace longhand
