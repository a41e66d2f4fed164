// Weights in 4 bits that unpack to 8 exactly: a weight is a number of 4 bits times the whole step
// of its group times its row's scale, so that products are still sums of 8-bit ones (Lin et al.
// 2024, QServe, section 4.1, "progressive group quantisation"; symmetric here).
#pragma once

#include "nn/torch.h"

namespace longhand::four_bits {

constexpr std::int64_t group_width = 32;  // weights of a row that share a step

struct Rows {
  at::Tensor numbers;  // [rows, in], int8, -8 … 7
  at::Tensor steps;    // [rows, in / 32], uint8, 1 … 15
  at::Tensor scales;   // [rows], float32
};

/// weight [rows, in], float32, contiguous, `in` a multiple of 32. Of the steps near a group's
/// largest weight, the one of the least square error.
Rows rounded(const at::Tensor& weight);

/// Bytes of a packed panel of 64 rows.
std::int64_t panel_bytes(std::int64_t in);
/// Up to 64 rows, the rest zeros, as they are read: each group's steps, then its numbers, two to a
/// byte.
void pack(const Rows& rows, std::uint8_t* to);
/// A panel as numbers times steps, [in / 4, 64, 4], the right side of a product.
void unpack(const std::uint8_t* packed, std::int64_t in, std::int8_t* to);

}  // namespace longhand::four_bits
