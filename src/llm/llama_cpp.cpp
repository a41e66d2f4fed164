#include "llm/llama_cpp.h"

#include <chat.h>
#include <llama.h>
#include <log.h>

#include <algorithm>
#include <mutex>
#include <thread>

#include "core/error.h"
#include "core/log.h"
#include "llm/sampler.h"

namespace longhand {
namespace {

using Tokens = std::vector<llama_token>;

constexpr int tokens_a_batch = 1024;
constexpr int room_a_sequence = 224;  // tokens of its own turn and its answer, on average

/// llama.cpp's warnings and errors, kept for our own messages.
class Log {
 public:
  static Log& shared() {
    static Log log;
    return log;
  }
  std::string take() {
    const std::lock_guard lock(mutex_);
    std::ranges::replace(text_, '\n', ' ');
    return std::exchange(text_, {});
  }

 private:
  Log() {
    llama_log_set(
        [](ggml_log_level level, const char* text, void* self) {
          auto* log = static_cast<Log*>(self);
          const std::lock_guard lock(log->mutex_);
          if (level == GGML_LOG_LEVEL_ERROR && log->text_.size() < 2000) {
            log->text_ += text;
          }
        },
        this);
  }
  std::mutex mutex_;
  std::string text_;
};

struct ModelDeleter {
  void operator()(llama_model* model) const { llama_model_free(model); }
};
struct ContextDeleter {
  void operator()(llama_context* context) const { llama_free(context); }
};
using Context = std::unique_ptr<llama_context, ContextDeleter>;

/// A sequence that is being decoded, in a slot of the context's memory.
struct Active {
  Sequence sequence;
  std::string text;  // opening and what was generated
  Tokens waiting;    // to be evaluated next
  int position = 0;  // tokens evaluated
  int generated = 0;
  int reserved = 0;    // cells of memory that it may come to use
  int logits_at = -1;  // row of this step's logits
};

class Batch {
 public:
  Batch() : batch_(llama_batch_init(tokens_a_batch, 0, 1)) {}
  ~Batch() { llama_batch_free(batch_); }
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  void clear() { batch_.n_tokens = 0; }
  bool empty() const { return batch_.n_tokens == 0; }
  int room() const { return tokens_a_batch - batch_.n_tokens; }
  int add(llama_token token, int position, int slot, bool logits) {
    const int row = batch_.n_tokens++;
    batch_.token[row] = token;
    batch_.pos[row] = position;
    batch_.n_seq_id[row] = 1;
    batch_.seq_id[row][0] = slot;
    batch_.logits[row] = logits ? 1 : 0;
    return row;
  }
  void decode(llama_context* context) {
    const int result = llama_decode(context, batch_);
    if (result != 0) {
      fail(Kind::internal, "llama.cpp cannot decode a batch (code {}): {}", result,
           Log::shared().take());
    }
  }

 private:
  llama_batch batch_;
};

class Llama : public LanguageModel {
 public:
  Llama(const fs::path& gguf, const LlamaOptions& options);
  std::string name() const override { return name_; }
  bool steerable() const override { return true; }
  void generate(const std::vector<Message>& shared,
                const std::function<std::optional<Sequence>()>& next,
                const std::function<void(Generated)>& done, const Sampling& sampling) override;

 private:
  friend class Run;
  std::string render(const std::vector<Message>& shared, const std::vector<Message>& turns) const;
  Tokens tokenize(const std::string& text) const;
  Tokens common_prefix(const std::vector<Message>& shared) const;
  Context make_context(int prefix) const;

  std::string name_;
  LlamaOptions options_;
  std::unique_ptr<llama_model, ModelDeleter> model_;
  common_chat_templates_ptr templates_;
  const llama_vocab* vocab_;
  std::vector<std::string> pieces_;
};

/// One call of generate().
class Run {
 public:
  Run(const Llama& model, const std::vector<Message>& shared, const Sampling& sampling)
      : model_(model),
        shared_(shared),
        sampling_(sampling),
        prefix_(model.common_prefix(shared)),
        context_(model.make_context(static_cast<int>(prefix_.size()))),
        memory_(llama_get_memory(context_.get())),
        slots_(static_cast<std::size_t>(model.options_.sequences)),
        free_cells_(static_cast<int>(llama_n_ctx(context_.get())) -
                    static_cast<int>(prefix_.size())) {
    evaluate_prefix();
  }

  void work(const std::function<std::optional<Sequence>()>& next,
            const std::function<void(Generated)>& done) {
    bool more = true;
    for (;;) {
      for (std::size_t slot = 0; slot < slots_.size() && (more || held_); ++slot) {
        if (slots_[slot]) {
          continue;
        }
        if (!held_) {
          more = hold(next);
        }
        if (!held_ || !admit(static_cast<int>(slot))) {
          break;
        }
      }
      batch_.clear();
      for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
        if (slots_[slot]) {
          enqueue(static_cast<int>(slot));
        }
      }
      if (batch_.empty()) {
        return;
      }
      batch_.decode(context_.get());
      for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
        if (slots_[slot] && slots_[slot]->logits_at >= 0 && !advance(*slots_[slot])) {
          finish(static_cast<int>(slot), done);
          more = true;  // a result may be followed up
        }
      }
    }
  }

 private:
  /// Sequence 0 of the memory holds the prefix; the others begin as copies that share its cells.
  void evaluate_prefix() {
    for (std::size_t i = 0; i < prefix_.size(); ++i) {
      batch_.add(prefix_[i], static_cast<int>(i), 0, false);
      if (batch_.room() == 0 || i + 1 == prefix_.size()) {
        batch_.decode(context_.get());
        batch_.clear();
      }
    }
  }

  /// Prepares the next sequence. False once there are no more.
  bool hold(const std::function<std::optional<Sequence>()>& next) {
    std::optional<Sequence> sequence = next();
    if (!sequence) {
      return false;
    }
    const Tokens tokens =
        model_.tokenize(model_.render(shared_, sequence->turns) + sequence->opening);
    const auto differs = std::ranges::mismatch(prefix_, tokens).in1 - prefix_.begin();
    const int common = static_cast<int>(std::min<std::ptrdiff_t>(differs, std::ssize(tokens) - 1));
    std::string text = sequence->opening;
    held_.emplace(Active{std::move(*sequence), std::move(text),
                         Tokens(tokens.begin() + common, tokens.end()), common});
    held_->reserved = static_cast<int>(held_->waiting.size()) + sampling_.max_new_tokens;
    return true;
  }

  /// Puts the held sequence into a slot. False where it must wait until another makes room.
  bool admit(int slot) {
    if (held_->reserved > free_cells_) {
      if (std::ranges::none_of(slots_, [](const auto& each) { return each.has_value(); })) {
        fail(Kind::invalid_argument, "a prompt of {} tokens does not fit {}'s context; shorten it",
             held_->position + std::ssize(held_->waiting), model_.name_);
      }
      return false;
    }
    free_cells_ -= held_->reserved;
    llama_memory_seq_cp(memory_, 0, slot + 1, 0, held_->position);
    slots_[static_cast<std::size_t>(slot)] = std::move(*held_);
    held_.reset();
    return true;
  }

  /// Puts what a sequence waits for into the batch, as much as there is room for.
  void enqueue(int slot) {
    Active& active = *slots_[static_cast<std::size_t>(slot)];
    active.logits_at = -1;
    const auto count =
        std::min<std::size_t>(active.waiting.size(), static_cast<std::size_t>(batch_.room()));
    for (std::size_t i = 0; i < count; ++i) {
      const bool last = i + 1 == active.waiting.size();
      const int row = batch_.add(active.waiting[i], active.position++, slot + 1, last);
      active.logits_at = last ? row : -1;
    }
    active.waiting.erase(active.waiting.begin(),
                         active.waiting.begin() + static_cast<std::ptrdiff_t>(count));
  }

  /// Samples a sequence's next token. False where it ends.
  bool advance(Active& active) {
    Guide* guide = active.sequence.guide.get();
    if (guide != nullptr && !guide->step(active.text)) {
      return false;
    }
    const float* logits = llama_get_logits_ith(context_.get(), active.logits_at);
    const auto candidates = top_candidates({logits, model_.pieces_.size()}, sampling_.top_k);
    const llama_token token = sample_token(
        candidates, sampling_,
        [&](int id) {
          return guide == nullptr ? 0.0F
                                  : guide->bias(model_.pieces_[static_cast<std::size_t>(id)],
                                                llama_vocab_is_eog(model_.vocab_, id));
        },
        active.sequence.random);
    if (token < 0 || llama_vocab_is_eog(model_.vocab_, token) ||
        ++active.generated >= sampling_.max_new_tokens) {
      return false;
    }
    active.text += model_.pieces_[static_cast<std::size_t>(token)];
    active.waiting = {token};
    return true;
  }

  void finish(int slot, const std::function<void(Generated)>& done) {
    Active active = std::move(*slots_[static_cast<std::size_t>(slot)]);
    slots_[static_cast<std::size_t>(slot)].reset();
    llama_memory_seq_rm(memory_, slot + 1, -1, -1);
    free_cells_ += active.reserved;
    done({active.sequence.id, std::move(active.text)});
  }

  const Llama& model_;
  const std::vector<Message>& shared_;
  const Sampling& sampling_;
  Tokens prefix_;
  Context context_;
  llama_memory_t memory_;
  std::vector<std::optional<Active>> slots_;
  int free_cells_;
  std::optional<Active> held_;  // the next one, prepared
  Batch batch_;
};

Llama::Llama(const fs::path& gguf, const LlamaOptions& options) : options_(options) {
  const MappedFile file(gguf);  // throws not_found; llama.cpp maps it anew
  const auto magic = file.bytes().first(std::min<std::size_t>(4, file.bytes().size()));
  if (!std::ranges::equal(magic, std::string_view("GGUF"), {},
                          [](std::byte b) { return static_cast<char>(b); })) {
    fail(Kind::corrupt, "{} is not a GGUF file; name a model in llama.cpp's format", gguf.string());
  }
  Log::shared().take();
  model_.reset(llama_model_load_from_file(gguf.c_str(), llama_model_default_params()));
  if (model_ == nullptr) {
    fail(Kind::corrupt, "{} is not a whole GGUF model: {}", gguf.string(), Log::shared().take());
  }
  vocab_ = llama_model_get_vocab(model_.get());
  common_log_set_verbosity_thold(
      LOG_LEVEL_ERROR);  // it says at each rendering that no parser is made
  templates_ = common_chat_templates_init(model_.get(), "");
  if (!common_chat_templates_was_explicit(templates_.get())) {
    spdlog::warn("{} has no chat template; ChatML is taken", gguf.string());
  }
  name_ = gguf.stem().string();
  if (options_.threads <= 0) {
    options_.threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  }
  char buffer[256];
  for (llama_token id = 0; id < llama_vocab_n_tokens(vocab_); ++id) {
    const int size = llama_token_to_piece(vocab_, id, buffer, sizeof buffer, 0, false);
    pieces_.emplace_back(buffer, static_cast<std::size_t>(std::max(0, size)));
  }
}

std::string Llama::render(const std::vector<Message>& shared,
                          const std::vector<Message>& turns) const {
  common_chat_templates_inputs inputs;
  for (const auto* messages : {&shared, &turns}) {
    for (const Message& message : *messages) {
      common_chat_msg turn;
      turn.role = message.role;
      turn.content = message.content;
      inputs.messages.push_back(turn);
    }
  }
  inputs.add_generation_prompt = true;
  inputs.enable_thinking = false;
  inputs.force_pure_content = true;  // the prompt alone: no parser for answers is worked out
  return common_chat_templates_apply(templates_.get(), inputs).prompt;
}

Tokens Llama::tokenize(const std::string& text) const {
  Tokens tokens(text.size() + 8);
  const int count = llama_tokenize(vocab_, text.data(), static_cast<int>(text.size()),
                                   tokens.data(), static_cast<int>(tokens.size()), true, true);
  tokens.resize(static_cast<std::size_t>(std::max(0, count)));
  return tokens;
}

/// What the conversations have in common, found by rendering two that differ from the first letter.
Tokens Llama::common_prefix(const std::vector<Message>& shared) const {
  const Tokens a = tokenize(render(shared, {{"user", "a"}}));
  const Tokens b = tokenize(render(shared, {{"user", "7"}}));
  return {a.begin(), std::ranges::mismatch(a, b).in1};
}

Context Llama::make_context(int prefix) const {
  llama_context_params parameters = llama_context_default_params();
  const int wanted = prefix + options_.sequences * room_a_sequence + 1024;
  parameters.n_ctx = static_cast<std::uint32_t>(wanted);
  parameters.n_batch = tokens_a_batch;
  parameters.n_ubatch = 512;
  parameters.n_seq_max = static_cast<std::uint32_t>(options_.sequences + 1);
  parameters.n_threads = options_.threads;
  parameters.n_threads_batch = options_.threads;
  parameters.kv_unified = true;
  Context context(llama_init_from_model(model_.get(), parameters));
  if (context == nullptr) {
    fail(Kind::out_of_memory, "no room for {} sequences of {}: {}", options_.sequences, name_,
         Log::shared().take());
  }
  return context;
}

void Llama::generate(const std::vector<Message>& shared,
                     const std::function<std::optional<Sequence>()>& next,
                     const std::function<void(Generated)>& done, const Sampling& sampling) {
  Run(*this, shared, sampling).work(next, done);
}

}  // namespace

std::unique_ptr<LanguageModel> load_llama(const fs::path& gguf, const LlamaOptions& options) {
  return std::make_unique<Llama>(gguf, options);
}

}  // namespace longhand
