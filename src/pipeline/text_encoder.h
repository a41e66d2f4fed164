// Captions → CLIP's text states: tokens as each model's own tokenizer folder pads them.
#pragma once

#include <string>
#include <vector>

#include "models/checkpoint.h"
#include "models/clip_text.h"

namespace longhand {

/// A text encoder with its tokenizer. Re-entrant.
class TextEncoder {
 public:
  /// `tokenizer`: the component whose special_tokens_map.json says with what captions are padded.
  TextEncoder(const Checkpoint& checkpoint, const std::string& tokenizer, Weights& weights,
              const CLIPTextConfig& config);

  /// Captions, each cut or padded to the encoder's length.
  TextEncoding encode(const std::vector<std::string>& captions) const;
  /// [captions, length], float32: 1 for a caption's tokens with the two marks, 0 for padding.
  at::Tensor mask(const std::vector<std::string>& captions) const;
  const CLIPTextConfig& config() const { return model_.config(); }

 private:
  CLIPTextModel model_;
  int padding_;
};

/// Ids of captions, each padded or cut to the text encoder's length: [captions, length].
at::Tensor caption_ids(const std::vector<std::string>& captions, const CLIPTextConfig& config,
                       int padding);

}  // namespace longhand
