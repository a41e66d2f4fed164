#include "pipeline/image_encoder.h"

#include "models/config.h"

namespace longhand {

ImageEncoder::ImageEncoder(const Checkpoint& checkpoint, const std::string& component,
                           const std::string& processor, const at::TensorOptions& placement)
    : model_(load_component<CLIPVisionModelWithProjection, CLIPVisionConfig>(checkpoint, component,
                                                                             placement)),
      processor_(CLIPImageProcessor::from_json(
          read_config(checkpoint.configs() / processor / "preprocessor_config.json"))),
      placement_(placement) {}

at::Tensor ImageEncoder::encode(const std::vector<Image>& images) const {
  std::vector<at::Tensor> pixels;
  for (const Image& image : images) {
    pixels.push_back(processor_.pixel_values(image));
  }
  return model_.forward(at::stack(pixels).to(placement_)).image_embeds;
}

at::Tensor ImageEncoder::encode_zeros() const {
  const int side = config().image_size;
  return model_.forward(at::zeros({1, 3, side, side}, placement_)).image_embeds;
}

}  // namespace longhand
