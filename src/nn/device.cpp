#include "nn/device.h"

#include <c10/core/impl/DeviceGuardImplInterface.h>

#include "core/error.h"

namespace longhand {
namespace {

/// How many devices of a type libtorch finds; none of a type that it was not built for.
int device_count(at::DeviceType type) {
  return c10::impl::hasDeviceGuardImpl(type) ? c10::impl::getDeviceGuardImpl(type)->deviceCount()
                                             : 0;
}

at::Device parsed(const std::string& name) {
  try {
    const at::Device device(name);
    if (!device.is_meta()) {  // its tensors have shapes and no numbers
      return device;
    }
  } catch (const c10::Error&) {
  }
  fail(Kind::invalid_argument, "--device {}: expected auto, cpu, cuda, or cuda:1 and so on", name);
}

[[noreturn]] void fail_missing(const at::Device& device) {
  const bool cuda = device.is_cuda();
  if (!c10::impl::hasDeviceGuardImpl(device.type())) {
    fail(Kind::unavailable, "--device {}: the libtorch that longhand was built with has no {}{}",
         device.str(), c10::DeviceTypeName(device.type()),
         cuda ? "; install one that has it, `LONGHAND_TORCH=cuda setup/bootstrap`, and build again "
                "(make build)"
              : "");
  }
  fail(Kind::unavailable, "--device {}: libtorch finds no such device{}", device.str(),
       cuda ? "; it needs an NVIDIA GPU and its driver (nvidia-smi must list the GPU, and "
              "CUDA_VISIBLE_DEVICES must not hide it)"
            : "");
}

}  // namespace

at::Device device_named(const std::string& name) {
  if (name == "auto") {
    return device_count(at::kCUDA) > 0 ? at::kCUDA : at::kCPU;
  }
  const at::Device device = parsed(name);
  const int count = device_count(device.type());
  if (count == 0) {
    fail_missing(device);
  }
  if (device.index() >= count) {
    fail(Kind::invalid_argument, "--device {}: there are {} such devices, the first is number 0",
         name, count);
  }
  return device;
}

}  // namespace longhand
