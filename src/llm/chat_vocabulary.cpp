#include "llm/chat_vocabulary.h"

#include <chat.h>
#include <llama.h>
#include <log.h>

#include <algorithm>
#include <mutex>

#include "core/error.h"
#include "core/log.h"

namespace longhand {
namespace {

/// llama.cpp's errors, kept for our own messages.
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

}  // namespace

std::string llama_errors() { return Log::shared().take(); }

void require_gguf(const fs::path& path) {
  const MappedFile file(path);
  const auto magic = file.bytes().first(std::min<std::size_t>(4, file.bytes().size()));
  if (!std::ranges::equal(magic, std::string_view("GGUF"), {},
                          [](std::byte b) { return static_cast<char>(b); })) {
    fail(Kind::corrupt, "{} is not a GGUF file; name a model in llama.cpp's format", path.string());
  }
}

void LlamaModelDeleter::operator()(llama_model* model) const { llama_model_free(model); }

LlamaModel load_llama_model(const fs::path& gguf, bool vocabulary_only) {
  require_gguf(gguf);
  llama_errors();
  llama_model_params parameters = llama_model_default_params();
  parameters.vocab_only = vocabulary_only;
  LlamaModel model(llama_model_load_from_file(gguf.c_str(), parameters));
  if (model == nullptr) {
    fail(Kind::corrupt, "{} is not a whole GGUF model: {}", gguf.string(), llama_errors());
  }
  return model;
}

void ChatVocabulary::TemplatesDeleter::operator()(common_chat_templates* templates) const {
  common_chat_templates_free(templates);
}

ChatVocabulary::ChatVocabulary(const llama_model* model, const fs::path& gguf)
    : vocab_(llama_model_get_vocab(model)) {
  // It says at each rendering that no parser is made.
  common_log_set_verbosity_thold(LOG_LEVEL_ERROR);
  templates_.reset(common_chat_templates_init(model, "").release());
  if (!common_chat_templates_was_explicit(templates_.get())) {
    spdlog::warn("{} has no chat template; ChatML is taken", gguf.string());
  }
  char buffer[256];
  for (llama_token id = 0; id < llama_vocab_n_tokens(vocab_); ++id) {
    const int size = llama_token_to_piece(vocab_, id, buffer, sizeof buffer, 0, false);
    pieces_.emplace_back(buffer, static_cast<std::size_t>(std::max(0, size)));
  }
}

ChatVocabulary::~ChatVocabulary() = default;

bool ChatVocabulary::ends_turn(std::int32_t token) const {
  return llama_vocab_is_eog(vocab_, token);
}

std::string ChatVocabulary::render(const std::vector<Message>& shared,
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

Tokens ChatVocabulary::tokenize(const std::string& text) const {
  Tokens tokens(text.size() + 8);
  const int count = llama_tokenize(vocab_, text.data(), static_cast<int>(text.size()),
                                   tokens.data(), static_cast<int>(tokens.size()), true, true);
  tokens.resize(static_cast<std::size_t>(std::max(0, count)));
  return tokens;
}

/// Found by rendering two conversations that differ from the first letter on.
Tokens ChatVocabulary::common_prefix(const std::vector<Message>& shared) const {
  const Tokens a = tokenize(render(shared, {{"user", "a"}}));
  const Tokens b = tokenize(render(shared, {{"user", "7"}}));
  return {a.begin(), std::ranges::mismatch(a, b).in1};
}

}  // namespace longhand
