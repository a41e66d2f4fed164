// Tokens a second of the torch engine at several numbers of sequences, beside what the processor
// can multiply and read: the figures of bench/README.md.
//
//   decode [--int8] [--sequences N] [--own 48] [GGUF]
//
// As llama-batched-bench -npp 512 -ntg 48 -pps does it: sequences share 512 tokens, each then
// decodes 48 of its own, whatever they are; sampling is left out. Without --sequences at 1, 8, 64
// and 256.
#include <fmt/format.h>

#include <chrono>
#include <string_view>

#include "core/error.h"
#include "core/memory.h"
#include "llm/decoder_transformer.h"
#include "nn/dtype.h"

namespace longhand {
namespace {

constexpr int shared = 512;

struct Request {
  fs::path gguf = home() / ".deps/models/SmolLM2-135M-Instruct.Q4_1.gguf";
  bool int8 = false;
  std::vector<int> sequences = {1, 8, 64, 256};
  int own = 48;
};

double seconds_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// The best of several runs.
double best_of(int runs, const std::function<void()>& work) {
  double best = seconds_of(work);
  for (int i = 1; i < runs; ++i) {
    best = std::min(best, seconds_of(work));
  }
  return best;
}

/// Multiplications and additions a second of matrices that fit no cache.
double matmul_peak(at::ScalarType dtype) {
  constexpr std::int64_t side = 2048;
  const at::Tensor a = at::randn({side, side}).to(dtype), b = at::randn({side, side}).to(dtype);
  return 2.0 * side * side * side / best_of(8, [&] { a.matmul(b); });
}

/// Bytes a second that are read.
double bandwidth() {
  const at::Tensor x = at::ones({std::int64_t{1} << 28}, at::kChar);
  return static_cast<double>(x.numel()) / best_of(5, [&] { x.view(at::kLong).sum(); });
}

/// Seconds of a step with so many sequences, the mean over their own tokens.
double step_seconds(const DecoderTransformer& network, const DecoderTransformer::Prefix& prefix,
                    int sequences, int own) {
  std::vector<DecoderTransformer::Memory> memories;
  for (int i = 0; i < sequences; ++i) {
    memories.push_back(network.memory());
  }
  const auto run = [&] {
    for (int token = 0; token < own; ++token) {
      std::vector<DecoderTransformer::Row> rows;
      for (auto& memory : memories) {
        const auto id = static_cast<std::int32_t>(1000 + 17 * rows.size() + token);
        rows.push_back({id, shared + token, &memory, shared});
      }
      network.logits(network.states(prefix, rows));
    }
  };
  return best_of(2, run) / own;
}

void report(const Request& request) {
  const auto& [gguf, int8, sequences, own] = request;
  const at::ScalarType dtype = dtype_named("auto");
  const DecoderTransformer network(Gguf(gguf), {.dtype = dtype, .int8 = int8});
  const DecoderTransformerConfig& c = network.config();
  const double attention =
      2.0 * static_cast<double>((c.heads.heads + c.heads.kv_heads) * c.heads.width * c.hidden);
  const double weights =
      static_cast<double>(c.layers) * (attention + 3.0 * c.feed_forward * c.hidden) +
      static_cast<double>(c.vocabulary * c.hidden);
  const double scores =
      static_cast<double>(c.layers * c.heads.heads * c.heads.width) * (shared + own / 2.0);
  const double operations = 2 * weights + 4 * scores;  // a token
  const double bytes = weights * (int8 ? 1 : static_cast<double>(c10::elementSize(dtype)));
  std::vector<std::int32_t> tokens;
  for (int i = 0; i < shared; ++i) {
    tokens.push_back(500 + i);
  }
  const double peak = matmul_peak(dtype), read = bandwidth();
  const double filling = best_of(3, [&] { network.prefix(tokens); });
  const DecoderTransformer::Prefix prefix = network.prefix(tokens);
  fmt::print(
      "{} {}: {:.0f} GFLOP/s at most, {:.1f} GB/s read; the shared tokens {:.0f} a second\n\n",
      gguf.stem().string(), int8 ? "int8" : "bfloat16", peak / 1e9, read / 1e9, shared / filling);
  fmt::print(
      "| sequences | tokens/s | of the matmul peak | of the bandwidth |\n|---|---|---|---|\n");
  for (const int count : sequences) {
    const double seconds = step_seconds(network, prefix, count, own);
    fmt::print("| {} | {:.0f} | {:.0f} % | {:.0f} % |\n", count, count / seconds,
               100 * count * operations / seconds / peak, 100 * bytes / seconds / read);
  }
}

Request requested(int count, char** arguments) {
  Request request;
  for (int i = 1; i < count; ++i) {
    const std::string_view word = arguments[i];
    if (word == "--int8") {
      request.int8 = true;
    } else if (word == "--sequences" && i + 1 < count) {
      request.sequences = {std::stoi(arguments[++i])};
    } else if (word == "--own" && i + 1 < count) {
      request.own = std::stoi(arguments[++i]);
    } else {
      request.gguf = word;
    }
  }
  return request;
}

}  // namespace
}  // namespace longhand

int main(int count, char** arguments) {
  longhand::keep_freed_memory(true);
  try {
    longhand::report(longhand::requested(count, arguments));
  } catch (const std::exception& error) {
    fmt::print(stderr, "decode: {}\n", error.what());
    return 1;
  }
}
