// Attention for inference on a processor, in blocks that stay in its caches: FlashAttention (Dao et
// al. 2022, algorithm 1; Dao 2023, section 3.1) on oneDNN's block products. Scores, sums and
// results in the making are float32; the inputs and the probabilities are of the inputs' type.
#pragma once

#include "nn/torch.h"

namespace longhand {

/// True where flash_attention() takes these inputs and is faster than scaled_dot_product_attention:
/// float32 or bfloat16 that oneDNN multiplies on this processor, and no gradient is wanted.
bool flash_attention_helps(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value);

/// Shapes as attention() in nn/layers.h has them; the last dimension of query, key and value lies
/// together in memory. A row whose bias masks every key gives zeros.
at::Tensor flash_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                           int heads, const at::Tensor& bias = {});

}  // namespace longhand
