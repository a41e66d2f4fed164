#include "llm/llama_cpp.h"

#include <llama.h>

#include <algorithm>
#include <thread>

#include "core/error.h"
#include "llm/continuous_batch.h"

namespace longhand {
namespace {

constexpr int tokens_a_batch = 1024;
constexpr int room_a_sequence = 224;  // tokens of its own turn and its answer, on average

struct ContextDeleter {
  void operator()(llama_context* context) const { llama_free(context); }
};
using Context = std::unique_ptr<llama_context, ContextDeleter>;

Context make_context(llama_model* model, const LlamaOptions& options, std::size_t prefix) {
  llama_context_params parameters = llama_context_default_params();
  parameters.n_ctx = static_cast<std::uint32_t>(prefix) +
                     static_cast<std::uint32_t>(options.sequences * room_a_sequence + 1024);
  parameters.n_batch = tokens_a_batch;
  parameters.n_ubatch = 512;
  parameters.n_seq_max = static_cast<std::uint32_t>(options.sequences + 1);
  parameters.n_threads = options.threads;
  parameters.n_threads_batch = options.threads;
  parameters.kv_unified = true;
  Context context(llama_init_from_model(model, parameters));
  if (context == nullptr) {
    fail(Kind::out_of_memory, "no room for {} sequences: {}", options.sequences, llama_errors());
  }
  return context;
}

/// Sequence 0 of the context's memory holds the prefix; the others begin as copies that share its
/// cells.
class LlamaDecoder : public Decoder {
 public:
  LlamaDecoder(llama_model* model, const LlamaOptions& options)
      : model_(model), options_(options), batch_(llama_batch_init(tokens_a_batch, 0, 1)) {}
  ~LlamaDecoder() override { llama_batch_free(batch_); }
  LlamaDecoder(const LlamaDecoder&) = delete;
  LlamaDecoder& operator=(const LlamaDecoder&) = delete;

  int slots() const override { return options_.sequences; }
  int tokens_a_step() const override { return tokens_a_batch; }
  std::int64_t cells() const override {
    return static_cast<std::int64_t>(llama_n_ctx(context_.get())) - prefix_;
  }

  std::int64_t context() const override { return llama_model_n_ctx_train(model_); }

  void evaluate_prefix(std::span<const std::int32_t> tokens) override {
    prefix_ = std::ssize(tokens);
    context_ = make_context(model_, options_, tokens.size());
    memory_ = llama_get_memory(context_.get());
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      add({tokens[i], static_cast<int>(i), -1, false});
      if (batch_.n_tokens == tokens_a_batch || i + 1 == tokens.size()) {
        decode();
      }
    }
  }
  void begin(int slot, int shared, int) override {
    llama_memory_seq_cp(memory_, 0, slot + 1, 0, shared);
  }
  void end(int slot) override { llama_memory_seq_rm(memory_, slot + 1, -1, -1); }
  void evaluate(std::span<const TokenRow> rows) override {
    for (const TokenRow& row : rows) {
      add(row);
    }
    decode();
  }
  std::span<const float> logits(int row) override {
    const auto size = llama_vocab_n_tokens(llama_model_get_vocab(model_));
    return {llama_get_logits_ith(context_.get(), row), static_cast<std::size_t>(size)};
  }

 private:
  void add(const TokenRow& row) {
    const int at = batch_.n_tokens++;
    batch_.token[at] = row.token;
    batch_.pos[at] = row.position;
    batch_.n_seq_id[at] = 1;
    batch_.seq_id[at][0] = row.slot + 1;
    batch_.logits[at] = row.logits ? 1 : 0;
  }
  void decode() {
    const int result = llama_decode(context_.get(), batch_);
    batch_.n_tokens = 0;
    if (result != 0) {
      fail(Kind::internal, "llama.cpp cannot decode a batch (code {}): {}", result, llama_errors());
    }
  }

  llama_model* model_;
  const LlamaOptions& options_;
  llama_batch batch_;
  Context context_;
  llama_memory_t memory_ = nullptr;
  std::int64_t prefix_ = 0;
};

class Llama : public LanguageModel {
 public:
  Llama(const fs::path& gguf, const LlamaOptions& options)
      : name_(gguf.stem().string()),
        options_(options),
        model_(load_llama_model(gguf, false)),
        vocabulary_(model_.get(), gguf) {
    if (options_.threads <= 0) {
      options_.threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
    }
  }
  std::string name() const override { return name_; }
  bool steerable() const override { return true; }
  void generate(const std::vector<Message>& shared,
                const std::function<std::optional<Sequence>()>& next,
                const std::function<void(Generated)>& done, const Sampling& sampling) override {
    LlamaDecoder decoder(model_.get(), options_);
    ContinuousBatch(decoder, vocabulary_, name_, shared, sampling).generate(next, done);
  }

 private:
  std::string name_;
  LlamaOptions options_;
  LlamaModel model_;
  ChatVocabulary vocabulary_;
};

}  // namespace

std::unique_ptr<LanguageModel> load_llama(const fs::path& gguf, const LlamaOptions& options) {
  return std::make_unique<Llama>(gguf, options);
}

}  // namespace longhand
