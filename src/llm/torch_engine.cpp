#include "llm/torch_engine.h"

#include <algorithm>
#include <memory>
#include <mutex>

#include "core/error.h"
#include "core/memory.h"
#include "llm/continuous_batch.h"

namespace longhand {
namespace {

using std::int64_t;

constexpr int tokens_a_step = 1024;
constexpr int64_t room_a_sequence = 224;  // tokens of its own turn and its answer, on average
constexpr int64_t room_of_one = 1024;     // what a single one may need more

int64_t cells_for(int sequences) { return sequences * room_a_sequence + room_of_one; }

int64_t weight_bytes(const DecoderTransformerConfig& c, const TorchEngineOptions& options) {
  const int64_t attention = (2 * c.heads.heads + 2 * c.heads.kv_heads) * c.heads.width * c.hidden;
  const int64_t layer = attention + 3 * c.feed_forward * c.hidden;
  const int64_t embedding = c.vocabulary * c.hidden;
  const auto size = static_cast<int64_t>(c10::elementSize(options.network.dtype));
  return embedding * size + (c.layers * layer + embedding) * (options.network.int8 ? 1 : size);
}

/// Of one token's keys and values, in all layers.
int64_t cell_bytes(const DecoderTransformerConfig& c, at::ScalarType dtype) {
  return 2 * c.layers * c.heads.kv_heads * c.heads.width *
         static_cast<int64_t>(c10::elementSize(dtype));
}

/// Logits as they come and as float32, and the widest states.
int64_t step_bytes(const DecoderTransformerConfig& c, int sequences) {
  return sequences * c.vocabulary * 6 + tokens_a_step * (4 * c.feed_forward + 8 * c.hidden) * 4;
}

/// The prefix that was evaluated last, for jobs that come in parts. Safe from several threads.
class KeptPrefix {
 public:
  using Prefix = DecoderTransformer::Prefix;
  std::shared_ptr<const Prefix> of(const DecoderTransformer& network,
                                   std::span<const std::int32_t> tokens) {
    const std::lock_guard lock(mutex_);
    if (!prefix_ || !std::ranges::equal(tokens, tokens_)) {
      prefix_ = std::make_shared<const Prefix>(network.prefix(tokens));
      tokens_.assign(tokens.begin(), tokens.end());
    }
    return prefix_;
  }

 private:
  std::mutex mutex_;
  Tokens tokens_;
  std::shared_ptr<const Prefix> prefix_;
};

class TorchDecoder : public Decoder {
 public:
  TorchDecoder(const DecoderTransformer& network, KeptPrefix& kept, int slots, int64_t cells)
      : network_(network),
        kept_(kept),
        cells_(cells),
        sequences_(static_cast<std::size_t>(slots)) {}

  int slots() const override { return static_cast<int>(sequences_.size()); }
  int tokens_a_step() const override { return longhand::tokens_a_step; }
  int64_t cells() const override { return cells_; }
  int64_t context() const override { return network_.config().context; }
  void evaluate_prefix(std::span<const std::int32_t> tokens) override {
    prefix_ = kept_.of(network_, tokens);
  }
  void begin(int slot, int shared, int) override {
    sequences_[static_cast<std::size_t>(slot)] = {network_.memory(), shared};
  }
  void end(int slot) override { sequences_[static_cast<std::size_t>(slot)] = {}; }

  void evaluate(std::span<const TokenRow> rows) override {
    std::vector<DecoderTransformer::Row> tokens;
    std::vector<int64_t> asked;
    logits_at_.assign(rows.size(), 0);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      Remembered& sequence = sequences_[static_cast<std::size_t>(rows[i].slot)];
      tokens.push_back({rows[i].token, rows[i].position, &sequence.memory, sequence.shared});
      if (rows[i].logits) {
        logits_at_[i] = std::ssize(asked);
        asked.push_back(static_cast<int64_t>(i));
      }
    }
    const at::Tensor states = network_.states(*prefix_, tokens);
    if (!asked.empty()) {
      logits_ = network_.logits(states.index_select(0, at::tensor(asked, at::kLong)));
    }
  }
  std::span<const float> logits(int row) override {
    const int64_t size = network_.config().vocabulary;
    const int64_t at = logits_at_[static_cast<std::size_t>(row)];
    return {logits_.const_data_ptr<float>() + at * size, static_cast<std::size_t>(size)};
  }

 private:
  struct Remembered {
    DecoderTransformer::Memory memory;
    int64_t shared = 0;
  };
  const DecoderTransformer& network_;
  KeptPrefix& kept_;
  int64_t cells_;
  std::shared_ptr<const DecoderTransformer::Prefix> prefix_;
  std::vector<Remembered> sequences_;
  at::Tensor logits_;               // [rows that asked, vocabulary]
  std::vector<int64_t> logits_at_;  // row → row of logits_
};

class TorchEngine : public LanguageModel {
 public:
  TorchEngine(const fs::path& gguf, const TorchEngineOptions& options)
      : name_(gguf.stem().string()),
        options_(options),
        model_(load_llama_model(gguf, true)),
        vocabulary_(model_.get(), gguf),
        network_(Gguf(gguf), options.network) {}
  std::string name() const override { return name_; }
  bool steerable() const override { return true; }

  void generate(const std::vector<Message>& shared,
                const std::function<std::optional<Sequence>()>& next,
                const std::function<void(Generated)>& done, const Sampling& sampling) override {
    TorchDecoder decoder(network_, kept_, options_.sequences, cells_for(options_.sequences));
    ContinuousBatch(decoder, vocabulary_, name_, shared, sampling).generate(next, done);
  }

 private:
  std::string name_;
  TorchEngineOptions options_;
  LlamaModel model_;  // its vocabulary alone
  ChatVocabulary vocabulary_;
  DecoderTransformer network_;
  KeptPrefix kept_;
};

}  // namespace

TorchEngineFit torch_engine_fit(const fs::path& gguf, const TorchEngineOptions& options) {
  const DecoderTransformerOptions& network = options.network;
  if (!cached_attention_runs(network.dtype)) {
    return {0, "this processor does not multiply " +
                   std::string(network.dtype == at::kFloat ? "float32" : "bfloat16") +
                   " with AVX-512, which the torch engine needs"};
  }
  if (network.int8 && !int8_runs()) {
    return {
        0,
        "this processor does not multiply 8 bits with AVX-512 VNNI, which --llm-dtype int8 needs"};
  }
  DecoderTransformerConfig config{};
  try {
    config = DecoderTransformerConfig::of(Gguf(gguf));
  } catch (const Error& error) {
    if (error.kind() != Kind::invalid_argument) {
      throw;
    }
    return {0, error.what()};
  }
  const auto need = [&](int sequences) {
    return weight_bytes(config, options) +
           cells_for(sequences) * cell_bytes(config, network.dtype) + step_bytes(config, sequences);
  };
  const int64_t room = free_memory();
  int sequences = options.sequences;
  while (sequences > 1 && need(sequences) > room) {
    sequences /= 2;
  }
  if (need(sequences) > room) {
    return {
        0, fmt::format("{} takes {} on the torch engine, and {} are free", gguf.filename().string(),
                       bytes_text(need(sequences)), bytes_text(room))};
  }
  return {sequences, ""};
}

std::unique_ptr<LanguageModel> load_torch_engine(const fs::path& gguf,
                                                 const TorchEngineOptions& options) {
  return std::make_unique<TorchEngine>(gguf, options);
}

}  // namespace longhand
