// Captions → CLIP's text states: tokens as each model's own tokenizer folder pads them.
#pragma once

#include <string>
#include <vector>

#include "models/checkpoint.h"
#include "models/clip_text.h"
#include "text/clip_tokenizer.h"

namespace longhand {

/// How captions are read.
struct ReadingOptions {
  bool chunks = false;    // all of a long caption, 75 tokens at a time, instead of its beginning
  bool emphasis = false;  // A1111's (words:1.3) weigh the states of their tokens
};

/// A text encoder with its tokenizer. Re-entrant.
class TextEncoder {
 public:
  /// `tokenizer`: the component that says with what captions are padded, and has the vocabulary
  /// where it is not CLIP's whole one.
  TextEncoder(const Checkpoint& checkpoint, const std::string& tokenizer, Weights& weights,
              const CLIPTextConfig& config);

  /// Captions, each cut or padded to the encoder's length. In chunks, the states of all chunks
  /// follow one another, the captions are padded to equally many, and what is pooled is the first
  /// chunk's. Weights scale the states, which then keep their mean (A1111).
  TextEncoding encode(const std::vector<std::string>& captions,
                      const ReadingOptions& options = {}) const;
  /// [captions, length], float32: 1 for a caption's tokens with the two marks, 0 for padding.
  at::Tensor mask(const std::vector<std::string>& captions) const;
  const CLIPTextConfig& config() const { return model_.config(); }
  std::shared_ptr<const ClipTokenizer> tokenizer() const { return tokenizer_; }

 private:
  /// A caption's tokens without marks, with the weight of each.
  struct Tokens {
    std::vector<int> ids;
    std::vector<float> weights;
  };
  /// Captions in equally many chunks, each with its marks and padding.
  struct Chunks {
    at::Tensor ids, weights;  // [captions, chunks, length]
  };
  Tokens tokens_of(const std::string& caption, bool emphasis) const;
  Chunks chunks_of(const std::vector<std::string>& captions, const ReadingOptions& options) const;

  CLIPTextModel model_;
  at::Device device_;
  std::shared_ptr<const ClipTokenizer> tokenizer_;
  int padding_;
};

/// A model's text encoder as its folder has it.
TextEncoder load_text_encoder(const Checkpoint& checkpoint, const std::string& component,
                              const std::string& tokenizer, const at::TensorOptions& placement);

/// CLIP's tokenizer, or, for a text encoder that knows fewer tokens, the folder's own. Throws
/// corrupt where the two do not belong together.
std::shared_ptr<const ClipTokenizer> tokenizer_for(const CLIPTextConfig& config,
                                                   const fs::path& folder);
/// Ids of captions, each padded or cut to `length`: [captions, length].
at::Tensor caption_ids(const std::vector<std::string>& captions, const ClipTokenizer& tokenizer,
                       int length, int padding);

}  // namespace longhand
