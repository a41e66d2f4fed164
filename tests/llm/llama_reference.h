// llama.cpp as the reference of the torch engine's logits, and what both are asked.
#pragma once

#include <doctest/doctest.h>
#include <ggml.h>
#include <gguf.h>
#include <llama.h>

#include <string>
#include <vector>

#include "io/table.h"
#include "llm/chat_vocabulary.h"
#include "llm/decoder_transformer.h"
#include "llm/llama_cpp.h"

namespace longhand {

inline const fs::path quantised = home() / ".deps/models/SmolLM2-135M-Instruct.Q4_1.gguf";

/// llama.cpp, keys and values in float32 too.
class Reference {
 public:
  explicit Reference(const fs::path& gguf) : model_(load_llama_model(gguf, false)) {
    llama_context_params parameters = llama_context_default_params();
    parameters.n_ctx = 256;
    parameters.type_k = parameters.type_v = GGML_TYPE_F32;
    parameters.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;  // it rounds to float16
    parameters.n_threads = parameters.n_threads_batch = 2;
    context_ = llama_init_from_model(model_.get(), parameters);
    REQUIRE(context_ != nullptr);
  }
  ~Reference() { llama_free(context_); }
  const llama_model* model() const { return model_.get(); }

  /// Tokens after those that were given before → logits [tokens, vocabulary].
  at::Tensor logits(const Tokens& tokens, int position) {
    llama_batch batch = llama_batch_init(static_cast<int>(tokens.size()), 0, 1);
    for (const std::int32_t token : tokens) {
      const int at = batch.n_tokens++;
      batch.token[at] = token;
      batch.pos[at] = position + at;
      batch.n_seq_id[at] = 1;
      batch.seq_id[at][0] = 0;
      batch.logits[at] = 1;
    }
    REQUIRE(llama_decode(context_, batch) == 0);
    llama_batch_free(batch);
    const int size = llama_vocab_n_tokens(llama_model_get_vocab(model_.get()));
    std::vector<at::Tensor> rows;
    for (int i = 0; i < std::ssize(tokens); ++i) {
      rows.push_back(at::from_blob(llama_get_logits_ith(context_, i), {size}).clone());
    }
    return at::stack(rows);
  }
  void forget() { llama_memory_clear(llama_get_memory(context_), true); }

 private:
  LlamaModel model_;
  llama_context* context_;
};

/// Texts of exactly `length` tokens, of DrawBench's prompts one after the other.
inline std::vector<Tokens> texts(const ChatVocabulary& vocabulary, int count, std::size_t length) {
  std::vector<Tokens> found;
  const auto reader = RowReader::open(resolve_prompts("drawbench"));
  const std::size_t column = prompt_column(*reader, "");
  Tokens tokens;
  while (static_cast<int>(found.size()) < count) {
    const auto row = reader->next();
    REQUIRE(row);
    const Tokens more = vocabulary.tokenize(row->at(column) + " ");
    tokens.insert(tokens.end(), more.begin(), more.end());
    if (tokens.size() >= length) {
      found.emplace_back(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(length));
      tokens.clear();
    }
  }
  return found;
}

/// The logits of tokens [begin, end) of a text, those before them evaluated as a shared prefix.
inline at::Tensor own_logits(const DecoderTransformer& network, const Tokens& text,
                             std::size_t begin) {
  const auto prefix = network.prefix(std::span(text).first(begin));
  DecoderTransformer::Memory memory = network.memory();
  std::vector<DecoderTransformer::Row> rows;
  for (std::size_t i = begin; i < text.size(); ++i) {
    rows.push_back(
        {text[i], static_cast<std::int64_t>(i), &memory, static_cast<std::int64_t>(begin)});
  }
  return network.logits(network.states(prefix, rows));
}

}  // namespace longhand
