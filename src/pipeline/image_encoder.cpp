#include "pipeline/image_encoder.h"

#include "core/error.h"
#include "models/config.h"

namespace longhand {

ImageEncoder::ImageEncoder(const Checkpoint& checkpoint, const std::string& component,
                           const std::string& processor, const at::TensorOptions& placement,
                           std::shared_ptr<const Autoencoder> autoencoder)
    : model_(load_component<CLIPVisionModelWithProjection, CLIPVisionConfig>(checkpoint, component,
                                                                             placement)),
      processor_(CLIPImageProcessor::from_json(
          read_config(checkpoint.configs() / processor / "preprocessor_config.json"))),
      placement_(placement),
      autoencoder_(std::move(autoencoder)) {
  const int given = autoencoder_ ? autoencoder_->latent_channels() : 3;
  if (config().num_channels != given) {
    fail(Kind::corrupt, "{}: {} looks at {} channels and is given {}; they are not of one model",
         checkpoint.configs().string(), component, config().num_channels, given);
  }
}

at::Tensor ImageEncoder::encode(const std::vector<Image>& images) const {
  std::vector<at::Tensor> pixels;
  for (const Image& image : images) {
    pixels.push_back(processor_.pixel_values(image));
  }
  const at::Tensor seen = at::stack(pixels).to(placement_);
  return model_.forward(autoencoder_ ? autoencoder_->latents_of(seen) : seen).image_embeds;
}

at::Tensor ImageEncoder::encode_zeros() const {
  const int side = config().image_size;
  return model_.forward(at::zeros({1, 3, side, side}, placement_)).image_embeds;
}

}  // namespace longhand
