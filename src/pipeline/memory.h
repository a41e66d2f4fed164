// What painting takes of memory, told before it starts: so that what does not fit is refused with
// what would, instead of the process being killed on the way.
#pragma once

#include <functional>

#include "core/fields.h"
#include "models/checkpoint.h"
#include "models/unet_trunk.h"

namespace longhand {

/// Bytes: of the weights as they are laid out for computing, and of what is in memory beside them
/// at the peak of the work. Calibrated by tests/pipeline/memory_test.cpp.
struct MemoryNeed {
  std::int64_t weights, work;
  std::int64_t total() const;
};

/// Of a batch of latents [batch, channels, height, width], at the peak of a step; the weights not
/// counted. Batch counts both branches of guidance.
std::int64_t unet_bytes(const UNetTrunkConfig& config, std::int64_t batch, std::int64_t height,
                        std::int64_t width, at::ScalarType dtype);

/// The weights of a model's checkpoint as `dtype`, and those of a prior that is a model of its own
/// ("": none). Throws out_of_memory where they do not fit into free memory, before any is loaded.
std::int64_t weights_within_memory(const Checkpoint& checkpoint, const fs::path& prior,
                                   at::ScalarType dtype);

/// What is to be painted: how many pictures at once, and of which size.
using NeedOf = std::function<MemoryNeed(std::int64_t n, Size size)>;

/// Throws out_of_memory where painting needs more than `room`, all that this process may hold:
/// says how much it needs, and which fewer pictures, smaller size or type would fit. Returns true
/// where it fits so narrowly that freed memory is not to be kept (FrugalMemory).
bool require_memory(const NeedOf& need, std::int64_t n, Size size, std::int64_t room,
                    at::ScalarType dtype);

/// All that this process may hold: what it holds, and what is free.
std::int64_t memory_room();

}  // namespace longhand
