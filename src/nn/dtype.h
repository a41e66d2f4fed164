// Number types by name, as --dtype takes them.
#pragma once

#include <string>

#include "nn/torch.h"

namespace longhand {

/// "float32", "bfloat16", "float16" → the type; "auto" → bfloat16 where the processor multiplies it
/// fast (AMX or AVX-512 BF16, or a GPU), else float32. Throws invalid_argument for any other name.
at::ScalarType dtype_named(const std::string& name);

}  // namespace longhand
