#include "pipeline/memory.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "core/error.h"
#include "core/log.h"
#include "core/memory.h"

namespace longhand {
namespace {

using std::int64_t;

constexpr int64_t program = 150'000'000;  // libtorch's own, before a model is loaded

const char* dtype_text(at::ScalarType dtype) {
  return dtype == at::kFloat ? "float32" : dtype == at::kBFloat16 ? "bfloat16" : "float16";
}

/// Bytes of a component's weights; 0 where it has none, or where what is wrong is for loading to
/// say.
int64_t component_bytes(const Checkpoint& checkpoint, const std::string& component,
                        at::ScalarType dtype) {
  try {
    int64_t numbers = 0;
    const Weights weights = checkpoint.weights(component, dtype);
    for (const auto& [name, tensor] : weights.stored()) {
      numbers += tensor.numel();
    }
    return numbers * static_cast<int64_t>(c10::elementSize(dtype));
  } catch (const Error&) {
    return 0;
  }
}

/// Sides are multiples of 64, which all but Karlo paint, in about the same proportion.
std::optional<Size> largest_size_within(const NeedOf& need, int64_t n, Size size, int64_t room) {
  constexpr int unit = 64;
  for (int width = (size.width - 1) / unit * unit; width >= unit; width -= unit) {
    const int height = (size.height * width / size.width + unit / 2) / unit * unit;
    const Size smaller{width, std::max(height, unit)};
    if (need(n, smaller).total() <= room) {
      return smaller;
    }
  }
  return std::nullopt;
}

int64_t largest_batch_within(const NeedOf& need, int64_t n, Size size, int64_t room) {
  while (n > 0 && need(n, size).total() > room) {
    --n;
  }
  return n;
}

/// What to ask for instead; "" where nothing fits.
std::string advice(const NeedOf& need, int64_t n, Size size, int64_t room, at::ScalarType dtype) {
  std::vector<std::string> ways;
  if (const int64_t fewer = largest_batch_within(need, n, size, room); fewer > 0) {
    ways.push_back(fmt::format("{} at once (--n {})", fewer, fewer));
  }
  if (const auto smaller = largest_size_within(need, n, size, room)) {
    ways.push_back(fmt::format("--size {}x{}", smaller->width, smaller->height));
  }
  const NeedOf half = [&](int64_t count, Size of) {
    const MemoryNeed whole = need(count, of);
    return MemoryNeed{whole.weights / 2, whole.work / 2};
  };
  if (dtype == at::kFloat && half(n, size).total() <= room) {
    ways.push_back("--dtype bfloat16");
  }
  return fmt::format("{}", fmt::join(ways, ", or "));
}

}  // namespace

int64_t MemoryNeed::total() const { return program + weights + work; }

int64_t memory_room() { return held_memory() + free_memory(); }

int64_t unet_bytes(const UNetTrunkConfig& config, int64_t batch, int64_t height, int64_t width,
                   at::ScalarType dtype) {
  const std::size_t levels = config.block_out_channels.size();
  int64_t kept = config.block_out_channels[0] * height * width, most = 0;
  for (std::size_t i = 0; i < levels; ++i) {
    const int64_t pixels = std::max<int64_t>((height >> i) * (width >> i), 1);
    const int64_t own = config.block_out_channels[i];
    const int64_t below = config.block_out_channels[std::min(i + 1, levels - 1)];
    const bool attends = config.down_block_types[i].find("Attn") != std::string::npos;
    // Skip connections: one a residual block, and a level's last map, a quarter as large.
    kept += own * pixels * config.layers_per_block + own * pixels / 4;
    // A residual block on the way up takes the two maps joined, their norm, and its two results;
    // a feed-forward layer with GEGLU 8 + 4 times the channels, beside three maps.
    const int64_t block = 2 * (own + below) + 2 * own, attention = attends ? 15 * own : 0;
    most = std::max(most, std::max(block, attention) * pixels);
  }
  return batch * (kept + most) * static_cast<int64_t>(c10::elementSize(dtype)) * 3 / 2;
}

int64_t weights_within_memory(const Checkpoint& checkpoint, const fs::path& prior,
                              at::ScalarType dtype) {
  int64_t bytes = 0;
  for (const std::string& component : checkpoint.components()) {
    bytes += component == "safety_checker" ? 0 : component_bytes(checkpoint, component, dtype);
  }
  // The embedded model's other prior may lie in a folder that is no model.
  if (!prior.empty() && fs::exists(prior / "model_index.json")) {
    const Checkpoint own(prior);
    for (const char* component : {"prior", "text_encoder", "image_encoder"}) {
      bytes += own.has(component) ? component_bytes(own, component, dtype) : 0;
    }
  }
  if (const int64_t room = free_memory(); bytes > room) {
    fail(Kind::out_of_memory,
         "the weights of {} take {} of memory as {}, and {} may be used; take {}a smaller model "
         "(`longhand models` lists them)",
         checkpoint.path().string(), bytes_text(bytes), dtype_text(dtype), bytes_text(room),
         dtype == at::kFloat && bytes / 2 <= room ? "--dtype bfloat16, or " : "");
  }
  return bytes;
}

bool require_memory(const NeedOf& need, int64_t n, Size size, int64_t room, at::ScalarType dtype) {
  const MemoryNeed here = need(n, size);
  spdlog::debug("painting takes about {} of memory, {} of it weights; {} may be used",
                bytes_text(here.total()), bytes_text(here.weights), bytes_text(room));
  if (here.total() <= room) {
    return here.total() + 2 * here.work > room;  // kept, freed memory may be twice the work
  }
  const std::string ways = advice(need, n, size, room, dtype);
  fail(Kind::out_of_memory,
       "painting {} of {}x{} at once takes about {} of memory ({} of it weights), and {} may be "
       "used; {}",
       n == 1 ? "a picture" : fmt::format("{} pictures", n), size.width, size.height,
       bytes_text(here.total()), bytes_text(here.weights), bytes_text(room),
       ways.empty() ? "take a smaller model (`longhand models` lists them)"
                    : "what would fit: " + ways);
}

}  // namespace longhand
