// A GGUF's tokens and chat template, by llama.cpp: both engines read one file and see the same
// tokens.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/files.h"
#include "core/message.h"

struct llama_model;
struct llama_vocab;
struct common_chat_templates;

namespace longhand {

using Tokens = std::vector<std::int32_t>;

/// Errors that llama.cpp has logged since the last call, in one line.
std::string llama_errors();

/// Throws not_found, and corrupt for a file that does not begin as a GGUF.
void require_gguf(const fs::path& path);

struct LlamaModelDeleter {
  void operator()(llama_model* model) const;
};
using LlamaModel = std::unique_ptr<llama_model, LlamaModelDeleter>;

/// Maps a GGUF, or of it the vocabulary alone. Throws not_found, corrupt (not a GGUF, cut off).
LlamaModel load_llama_model(const fs::path& gguf, bool vocabulary_only);

class ChatVocabulary {
 public:
  /// The model must outlive it. Warns where it has no chat template, and takes ChatML.
  ChatVocabulary(const llama_model* model, const fs::path& gguf);
  ~ChatVocabulary();

  int size() const { return static_cast<int>(pieces_.size()); }
  /// The text of a token; "" for marks.
  const std::string& piece(std::int32_t token) const {
    return pieces_[static_cast<std::size_t>(token)];
  }
  bool ends_turn(std::int32_t token) const;
  /// A conversation as the model reads it, up to where the assistant's turn begins.
  std::string render(const std::vector<Message>& shared, const std::vector<Message>& turns) const;
  Tokens tokenize(const std::string& text) const;
  /// What conversations that begin with `shared` have in common.
  Tokens common_prefix(const std::vector<Message>& shared) const;

 private:
  struct TemplatesDeleter {
    void operator()(common_chat_templates* templates) const;
  };
  std::unique_ptr<common_chat_templates, TemplatesDeleter> templates_;
  const llama_vocab* vocab_;
  std::vector<std::string> pieces_;
};

}  // namespace longhand
