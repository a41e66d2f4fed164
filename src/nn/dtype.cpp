#include "nn/dtype.h"

#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/DeviceGuard.h>

#include "core/error.h"

namespace longhand {
namespace {

bool multiplies_bfloat16(at::Device device) {
  if (device.is_cpu()) {
    return __builtin_cpu_supports("avx512bf16") != 0;
  }
  if (!device.is_cuda()) {
    return false;
  }
  const c10::DeviceGuard guard(device);
  // The one question of libtorch's that asks for compute capability 8.0 and needs no CUDA header.
  return at::detail::getCUDAHooks().supportsBFloat16ConvolutionWithCuDNNv8();
}

}  // namespace

at::ScalarType dtype_named(const std::string& name, at::Device device) {
  if (name == "auto") {
    return multiplies_bfloat16(device) ? at::kBFloat16 : at::kFloat;
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
