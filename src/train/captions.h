// Captions of scenes as recipes ask for them, and captions that name other things: what a trained
// model must tell apart.
#pragma once

#include "core/random.h"
#include "train/latents.h"

namespace longhand {

/// A short caption with the probability short_share, else a descriptive one.
std::string drawn_caption(const World& world, const Scene& scene, double short_share,
                          Random& random);

/// Scenes that are not trained on: those of another seed.
class HeldBackScenes {
 public:
  HeldBackScenes(const World& world, std::uint64_t seed, int count)
      : world_(world), seed_(seed + 1), count_(count) {}

  int count() const { return count_; }
  Scene scene(int number) const { return numbered_scene(world_, seed_, number % count_); }
  /// Descriptive captions; of other figures: as if each showed the next scene's first thing and
  /// colour.
  std::vector<std::string> captions(bool of_other_figures) const;
  /// Latents [count, channels, h, w] of their pictures, size×size.
  at::Tensor latents(const Autoencoder& vae, int size, at::ScalarType dtype) const;

 private:
  const World& world_;
  std::uint64_t seed_;
  int count_;
};

}  // namespace longhand
