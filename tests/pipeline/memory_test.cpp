#include "pipeline/memory.h"

#include <doctest/doctest.h>

#include "../refusals.h"
#include "core/error.h"
#include "core/memory.h"
#include "models/autoencoder_kl.h"
#include "models/config.h"
#include "models/strips.h"
#include "models/unet_2d_condition.h"
#include "pipeline/diffusion_model.h"

using namespace longhand;

namespace {

constexpr std::int64_t gigabyte = 1000000000;

/// A model of 2 GB whose pictures of 512x512 take 1 GB each.
MemoryNeed need(std::int64_t n, Size size) {
  return {2 * gigabyte, gigabyte * n * size.width * size.height / (512 * 512)};
}

std::string refusal(std::int64_t n, Size size, double gigabytes, at::ScalarType dtype) {
  const auto room = static_cast<std::int64_t>(gigabytes * gigabyte);
  return longhand::refusal([&] { require_memory(need, n, size, room, dtype); },
                           Kind::out_of_memory);
}

nlohmann::json config_of(const fs::path& model, const char* component) {
  return read_config(home() / "data" / "models" / model / component / "config.json");
}

/// Of Stable Diffusion in bfloat16, one guided picture, with so many weights.
std::int64_t diffusion_total(const char* model, double weights, std::int64_t side) {
  const auto unet = UNet2DConditionConfig::from_json(config_of(model, "unet"));
  const auto vae = AutoencoderKLConfig::from_json(config_of(model, "vae"));
  const MemoryNeed sum{static_cast<std::int64_t>(2 * weights),
                       std::max(unet_bytes(unet, 2, side / 8, side / 8, at::kBFloat16),
                                decoding_bytes(vae, side, side, at::kBFloat16).in_strips)};
  return sum.total();
}

}  // namespace

// The most memory that `longhand draw` held (RssAnon, looked at each 4 ms), with a --memory that
// the estimate just fits into, so that freed memory is not kept; guidance 5, an AMD EPYC of 2 cores
// with AVX-512 BF16, the embedded model's on an Intel Xeon without. The full models' weights were
// random.
TEST_CASE("estimates beside what was measured") {
  const auto close = [](std::int64_t estimate, double measured) {
    CAPTURE(measured);
    CHECK(static_cast<double>(estimate) > 0.95 * measured);
    CHECK(static_cast<double>(estimate) < 1.2 * measured);
  };
  const auto pocket = [](std::int64_t n, int side, at::ScalarType dtype) {
    const auto model = load_diffusion_model(home() / "models" / "pocket", {.dtype = dtype});
    const ConditioningOptions options{.width = side, .height = side};
    return MemoryNeed{model->weights_bytes(), model->working_bytes(n, options)}.total();
  };
  close(pocket(64, 128, at::kBFloat16), 255e6);
  close(pocket(64, 128, at::kFloat), 401e6);
  close(pocket(16, 256, at::kFloat), 346e6);
  close(diffusion_total("stable-diffusion-v1-5", 1066e6, 512), 2.51e9);
  close(diffusion_total("stable-diffusion-xl-base-1.0", 3469e6, 1024), 7.57e9);  // in strips
}

TEST_CASE("what fits is not refused") {
  CHECK(refusal(1, {512, 512}, 4, at::kFloat).empty());
  CHECK_FALSE(require_memory(need, 1, {512, 512}, 6 * gigabyte, at::kFloat));
  CHECK(require_memory(need, 1, {512, 512}, 7 * gigabyte / 2, at::kFloat));  // narrowly
}

TEST_CASE("a refusal says how much, and what would fit") {
  const std::string many = refusal(8, {512, 512}, 6, at::kFloat);
  CHECK(has(many, "8 pictures of 512x512 at once takes about 10.2 GB of memory"));
  CHECK(has(many, "(2.0 GB of it weights), and 6.0 GB may be used"));
  CHECK(has(many, "3 at once (--n 3), or --size 320x320, or --dtype bfloat16"));

  const std::string large = refusal(1, {1024, 768}, 4, at::kBFloat16);
  CHECK(has(large, "a picture of 1024x768"));
  CHECK(has(large, "what would fit: --size 768x576"));
  CHECK_FALSE(has(large, "--n"));
  CHECK_FALSE(has(large, "bfloat16"));

  const std::string none = refusal(1, {512, 512}, 1, at::kFloat);
  CHECK(has(none, "take a smaller model"));
  CHECK_FALSE(has(none, "what would fit"));
}

TEST_CASE("weights that do not fit are refused before they are loaded") {
  const Checkpoint pocket(home() / "models" / "pocket");
  const std::int64_t bytes = weights_within_memory(pocket, {}, at::kFloat);
  CHECK(bytes == 2 * weights_within_memory(pocket, {}, at::kBFloat16));
  limit_memory(held_memory() + bytes / 2);
  std::string message;
  try {
    weights_within_memory(pocket, {}, at::kFloat);
  } catch (const Error& error) {
    CHECK(error.kind() == Kind::out_of_memory);
    message = error.what();
  }
  limit_memory(1000 * gigabyte);
  CHECK(has(message, "pocket"));
  CHECK(has(message, "as float32"));
}
