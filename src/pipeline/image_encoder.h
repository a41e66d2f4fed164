// Pictures → CLIP's image embeddings, prepared as each model's own image processor says.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/image.h"
#include "models/autoencoder.h"
#include "models/checkpoint.h"
#include "models/clip_image.h"
#include "models/clip_vision.h"

namespace longhand {

/// An image encoder with its image processor. Re-entrant.
class ImageEncoder {
 public:
  /// `processor`: the component whose preprocessor_config.json says how pictures are prepared.
  /// `autoencoder`: for an encoder that looks at latents. Throws corrupt where it takes other
  /// channels than it would be given.
  ImageEncoder(const Checkpoint& checkpoint, const std::string& component,
               const std::string& processor, const at::TensorOptions& placement,
               std::shared_ptr<const Autoencoder> autoencoder = nullptr);

  /// [n, projection_dim], of the encoder's type.
  at::Tensor encode(const std::vector<Image>& images) const;
  /// [1, projection_dim]: of a picture that is 0 in all prepared values, which stands for none
  /// (diffusers get_zero_embed).
  at::Tensor encode_zeros() const;
  const CLIPVisionConfig& config() const { return model_.config(); }

 private:
  CLIPVisionModelWithProjection model_;
  CLIPImageProcessor processor_;
  at::TensorOptions placement_;
  std::shared_ptr<const Autoencoder> autoencoder_;
};

}  // namespace longhand
