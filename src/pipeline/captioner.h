// Pictures → captions, of the kinds that the captioner was trained on (Betker et al. 2023, section
// 2.1): "alt", as the web has them, "short", the main subject, "descriptive", all of it.
#pragma once

#include <string>
#include <vector>

#include "core/random.h"
#include "io/image.h"
#include "models/autoencoder.h"
#include "models/clip_image.h"
#include "models/git.h"
#include "text/clip_tokenizer.h"

namespace longhand {

const std::vector<std::string>& captioner_kinds();

struct CaptionOptions {
  std::string kind = "descriptive";  // one of captioner_kinds()
  double temperature = 0;            // 0: the likeliest tokens
  int top_k = 50;
  std::int64_t seed = 0;   // with a picture's number it makes its random stream
  std::int64_t every = 1;  // a shard has each n-th number
};

/// A caption's tokens as the model is trained with them: the start, the kind, the words, the end.
std::vector<int> caption_tokens(const ClipTokenizer& tokenizer, const std::string& kind,
                                const std::string& caption);

/// Captions of prepared pictures, numbers first, first + every, …, written side by side.
std::vector<std::string> written(const GitForCausalLM& model, const ClipTokenizer& tokenizer,
                                 const at::Tensor& pixel_values, const CaptionOptions& options,
                                 std::int64_t first);

/// A model's folder with "captioner", and what its image encoder looks through. Re-entrant.
class Captioner {
 public:
  /// Throws not_found, corrupt.
  Captioner(const fs::path& model, const std::string& dtype);
  /// A picture of any size as the model sees it: its largest middle square. Throws
  /// invalid_argument for one that is too narrow.
  at::Tensor prepared(const Image& picture) const { return processor_.pixel_values(picture); }
  std::vector<std::string> captions(const std::vector<at::Tensor>& prepared,
                                    const CaptionOptions& options, std::int64_t first) const;
  std::vector<std::string> captions(const std::vector<Image>& pictures,
                                    const CaptionOptions& options, std::int64_t first) const;

 private:
  at::ScalarType dtype_;
  std::unique_ptr<Autoencoder> autoencoder_;
  CLIPImageProcessor processor_;
  Weights weights_;
  GitForCausalLM model_;
  std::unique_ptr<const ClipTokenizer> tokenizer_;
};

}  // namespace longhand
