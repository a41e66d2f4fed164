// The autoencoder's encoder and decoder within little memory: its large maps are made in strips of
// rows where they are used, at about a quarter more work. The answer is that of forward() up to
// rounding, without seams: a convolution is given the rows that it reaches beyond a strip, and a
// GroupNorm its statistics over all strips first. What is small, and attention, runs as a whole.
// (diffusers' tiled_decode takes statistics and attention of each tile by itself and blends.)
#pragma once

#include <functional>

#include "models/vae.h"

namespace longhand {

/// About how many pixels a strip has; it has at least so many rows.
constexpr std::int64_t usual_strip = 1 << 15, least_strip_rows = 16;

/// VaeDecoder::forward of one picture, without gradients.
Tensor decoded_in_strips(const VaeDecoder& decoder, const Tensor& z, const Tensor& latents,
                         std::int64_t strip_pixels = usual_strip);
/// VaeEncoder::forward of one picture, without gradients.
Tensor encoded_in_strips(const VaeEncoder& encoder, const Tensor& pictures,
                         std::int64_t strip_pixels = usual_strip);

/// What decoding, or encoding, one picture of this size takes at its peak, in bytes, the weights
/// not counted.
struct VaeBytes {
  std::int64_t whole, in_strips;
};
VaeBytes decoding_bytes(const VaeConfig& config, std::int64_t height, std::int64_t width,
                        at::ScalarType dtype);
VaeBytes encoding_bytes(const VaeConfig& config, std::int64_t height, std::int64_t width,
                        at::ScalarType dtype);

/// Runs count of a batch's pictures from `begin` on: as they are, or, one of them, in strips.
using OfPart = std::function<Tensor(std::int64_t begin, std::int64_t count, bool in_strips)>;
/// What maps may take where there is more memory too: decoding is a hundredth of the painting, and
/// taking half longer (bench/README.md) spares the process gigabytes at its peak.
constexpr std::int64_t usual_bytes = 1'000'000'000;
/// Runs a batch as a whole where free memory (core/memory.h) and usual_bytes suffice, else as many
/// pictures at a time as they hold, else each in strips; with gradients, and elsewhere than on the
/// processor, always as a whole.
Tensor within_memory(const Tensor& batch, const VaeBytes& bytes, const OfPart& run);

/// VaeDecoder::forward of a batch within memory.
Tensor decoded_within_memory(const VaeDecoder& decoder, const VaeConfig& config, const Tensor& z,
                             const Tensor& latents);
/// The same of VaeEncoder::forward.
Tensor encoded_within_memory(const VaeEncoder& encoder, const VaeConfig& config,
                             const Tensor& pictures);

}  // namespace longhand
