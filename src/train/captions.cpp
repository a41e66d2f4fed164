#include "train/captions.h"

#include "nn/pictures.h"

namespace longhand {

std::string drawn_caption(const World& world, const Scene& scene, double short_share,
                          Random& random) {
  return random.chance(short_share) ? world.short_caption(scene, random)
                                    : world.descriptive_caption(scene, random);
}

std::vector<std::string> HeldBackScenes::captions(bool of_other_figures) const {
  std::vector<std::string> captions;
  for (int i = 0; i < count_; ++i) {
    Scene shown = scene(i);
    if (of_other_figures) {
      const Figure other = scene(i + 1).figures[0];
      shown.figures[0].thing = other.thing;
      shown.figures[0].colour = other.colour;
    }
    Random random({seed_, static_cast<std::uint64_t>(i)});
    captions.push_back(world_.descriptive_caption(shown, random));
  }
  return captions;
}

at::Tensor HeldBackScenes::latents(const Autoencoder& vae, int size, at::ScalarType dtype) const {
  std::vector<at::Tensor> pictures;
  for (int i = 0; i < count_; ++i) {
    pictures.push_back(picture_to_tensor(world_.draw(scene(i), size)));
  }
  return vae.latents_of(at::stack(pictures).to(dtype).contiguous(at::MemoryFormat::ChannelsLast));
}

}  // namespace longhand
