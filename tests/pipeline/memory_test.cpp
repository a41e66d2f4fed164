#include "pipeline/memory.h"

#include <doctest/doctest.h>

#include "core/error.h"
#include "core/memory.h"
#include "models/config.h"
#include "models/unet_2d_condition.h"

using namespace longhand;

namespace {

constexpr std::int64_t gigabyte = 1000000000;

/// A model of 2 GB whose pictures of 512x512 take 1 GB each.
MemoryNeed need(std::int64_t n, Size size) {
  return {2 * gigabyte, gigabyte * n * size.width * size.height / (512 * 512)};
}

std::string refusal(std::int64_t n, Size size, double gigabytes, at::ScalarType dtype) {
  try {
    require_memory(need, n, size, static_cast<std::int64_t>(gigabytes * gigabyte), dtype);
  } catch (const Error& error) {
    CHECK(error.kind() == Kind::out_of_memory);
    return error.what();
  }
  return "";
}

bool holds(const std::string& text, const std::string& part) {
  CAPTURE(text);
  CAPTURE(part);
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("what fits is not refused") {
  CHECK(refusal(1, {512, 512}, 4, at::kFloat).empty());
  CHECK_FALSE(require_memory(need, 1, {512, 512}, 5 * gigabyte, at::kFloat));
  CHECK(require_memory(need, 1, {512, 512}, 7 * gigabyte / 2, at::kFloat));  // narrowly
}

TEST_CASE("a refusal says how much, and what would fit") {
  const std::string many = refusal(8, {512, 512}, 6, at::kFloat);
  CHECK(holds(many, "8 pictures of 512x512 at once takes about 10.2 GB of memory"));
  CHECK(holds(many, "(2.0 GB of it weights), and 6.0 GB may be used"));
  CHECK(holds(many, "3 at once (--n 3), or --size 320x320, or --dtype bfloat16"));

  const std::string large = refusal(1, {1024, 768}, 4, at::kBFloat16);
  CHECK(holds(large, "a picture of 1024x768"));
  CHECK(holds(large, "what would fit: --size 768x576"));
  CHECK_FALSE(holds(large, "--n"));
  CHECK_FALSE(holds(large, "bfloat16"));

  const std::string none = refusal(1, {512, 512}, 1, at::kFloat);
  CHECK(holds(none, "take a smaller model"));
  CHECK_FALSE(holds(none, "what would fit"));
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
  CHECK(holds(message, "pocket"));
  CHECK(holds(message, "as float32"));
}
