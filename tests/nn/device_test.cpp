// Devices and number types by name.
#include "nn/device.h"

#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <doctest/doctest.h>

#include "../refusals.h"
#include "core/error.h"
#include "nn/dtype.h"

using namespace longhand;

TEST_CASE("devices by name") {
  CHECK(device_named("cpu").is_cpu());
  for (const char* name : {"", "gpu", "cuda:x", "meta", "CPU"}) {
    CAPTURE(name);
    CHECK(has(refusal([&] { device_named(name); }, Kind::invalid_argument),
              "expected auto, cpu, cuda"));
  }
  CHECK(has(refusal([&] { device_named("cpu:3"); }, Kind::invalid_argument), "there are 1"));
  CHECK(has(refusal([&] { device_named("hpu"); }, Kind::unavailable), "has no HPU"));
}

TEST_CASE("auto takes a GPU where there is one; cuda says what is missing where there is none") {
  const bool built = c10::impl::hasDeviceGuardImpl(at::kCUDA);
  if (built && c10::impl::getDeviceGuardImpl(at::kCUDA)->deviceCount() > 0) {
    CHECK(device_named("auto").is_cuda());
    CHECK(device_named("cuda:0").is_cuda());
    CHECK(refusal([&] { device_named("cuda:99"); }, Kind::invalid_argument) != "");
    return;
  }
  CHECK(device_named("auto").is_cpu());
  CHECK(has(refusal([&] { device_named("cuda:1"); }, Kind::unavailable),
            built ? "nvidia-smi" : "LONGHAND_TORCH=cuda setup/bootstrap"));
}

TEST_CASE("number types by name") {
  CHECK((dtype_named("float32") == at::kFloat));
  CHECK((dtype_named("bfloat16") == at::kBFloat16));
  CHECK_THROWS_AS(dtype_named("int8"), Error);
  const bool fast = __builtin_cpu_supports("avx512bf16") != 0;
  CHECK((dtype_named("auto") == (fast ? at::kBFloat16 : at::kFloat)));
  // Of devices that libtorch cannot be asked about.
  CHECK((dtype_named("auto", at::kPrivateUse1) == at::kFloat));
}
