#include "nn/dtype.h"

#include "core/error.h"

namespace longhand {

at::ScalarType dtype_named(const std::string& name) {
  if (name == "auto") {
    return __builtin_cpu_supports("avx512bf16") ? at::kBFloat16 : at::kFloat;
  }
  if (name == "float32") {
    return at::kFloat;
  }
  if (name == "bfloat16") {
    return at::kBFloat16;
  }
  if (name == "float16") {
    return at::kHalf;
  }
  fail(Kind::invalid_argument, "--dtype {}: expected auto, float32, bfloat16 or float16", name);
}

}  // namespace longhand
