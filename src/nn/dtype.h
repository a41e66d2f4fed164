// Number types by name, as --dtype takes them.
#pragma once

#include <string>

#include "nn/torch.h"

namespace longhand {

/// "float32", "bfloat16", "float16" → the type; "auto" → bfloat16 where the device multiplies it
/// fast (a processor with AMX or AVX-512 BF16, a GPU of compute capability 8.0 or more), else
/// float32: float16, which older GPUs multiply fast, overflows in some models. Throws
/// invalid_argument for any other name.
at::ScalarType dtype_named(const std::string& name, at::Device device = at::kCPU);

}  // namespace longhand
