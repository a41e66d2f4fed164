// CLIP as train/clip.cpp left it, frozen: what painters, priors and captioners are trained with.
#pragma once

#include <string>
#include <vector>

#include "models/clip_text.h"
#include "models/clip_vision.h"
#include "text/clip_tokenizer.h"

namespace longhand {

class TrainedClip {
 public:
  /// `folder`: text_encoder/, image_encoder/ and tokenizer/ in it. Throws not_found, corrupt.
  TrainedClip(const fs::path& folder, at::ScalarType dtype);

  at::Tensor ids(const std::vector<std::string>& captions) const;  // [captions, length]
  TextEncoding read(const at::Tensor& ids) const;
  /// Latents [n, channels, h, w] → [n, projection_dim].
  at::Tensor image_embeds(const at::Tensor& latents) const;
  /// The same, called by all ranks with the same latents: each embeds its part of them.
  at::Tensor image_embeds_together(const at::Tensor& latents) const;
  int end_of_text() const { return tokenizer_->end(); }
  /// Copies a part, "text_encoder", "image_encoder" or "tokenizer", to a folder of a model.
  void copy(const char* part, const fs::path& to) const;

 private:
  fs::path folder_;
  at::ScalarType dtype_;
  Weights text_weights_;
  CLIPTextModel text_encoder_;
  Weights image_weights_;
  CLIPVisionModelWithProjection image_encoder_;
  std::shared_ptr<const ClipTokenizer> tokenizer_;
};

}  // namespace longhand
