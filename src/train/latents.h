// Latents of scenes, encoded once and kept: 4 kB a picture instead of a pass through the encoder a
// step.
#pragma once

#include "models/autoencoder.h"
#include "train/recipe.h"
#include "world/world.h"

namespace longhand {

/// The scene with a number: what a latent's caption is made from.
Scene numbered_scene(const World& world, std::uint64_t seed, std::int64_t index);

/// Latents [count, channels, h, w] in bfloat16, scaled to unit variance, of scenes 0…count-1 of the
/// recipe's world and seed. Kept in folder as shards of 1024; those that are there are not made
/// again. Throws invalid_argument for a folder of another world, seed or resolution, corrupt for
/// one of another autoencoder.
at::Tensor kept_latents(const fs::path& folder, const Autoencoder& vae, const World& world,
                        const Recipe& recipe, std::int64_t count, at::ScalarType dtype);

/// Encodes a picture [3, side, side] again and throws corrupt where its latents are not those that
/// `kept` has of it: they are of another autoencoder.
void check_kept(const at::Tensor& latents, const at::Tensor& picture, const Autoencoder& vae,
                at::ScalarType dtype, const fs::path& kept);

}  // namespace longhand
