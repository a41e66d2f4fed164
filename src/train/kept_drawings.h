// Drawings with their latents, to train on.
#pragma once

#include <vector>

#include "models/autoencoder.h"
#include "train/recipe.h"
#include "world/drawings.h"

namespace longhand {

class KeptDrawings {
 public:
  /// The table that the recipe's "drawings" names, of which a share "drawings_share" of the samples
  /// is taken; without such a table there are none. Latents are kept in `folder`. Pictures that
  /// cannot be drawn are passed over. Throws not_found, corrupt.
  KeptDrawings(const Recipe& recipe, const Autoencoder& vae, const fs::path& folder,
               at::ScalarType dtype);

  double share() const { return share_; }
  /// One to train on: a number for what follows.
  std::int64_t draw(Random& random) const;
  /// Those that are never drawn.
  const std::vector<std::int64_t>& held_back() const { return held_back_; }
  const Drawing& operator[](std::int64_t number) const {
    return all_[static_cast<std::size_t>(number)];
  }
  /// [channels, h, w].
  at::Tensor latents(std::int64_t number) const { return latents_[number]; }

 private:
  double share_;
  std::vector<Drawing> all_;
  std::vector<std::int64_t> trained_, held_back_;
  at::Tensor latents_;  // [drawings, channels, h, w]; not finite where one cannot be drawn
};

}  // namespace longhand
