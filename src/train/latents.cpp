#include "train/latents.h"

#include <optional>

#include "core/error.h"
#include "core/interrupt.h"
#include "core/progress.h"
#include "nn/pictures.h"
#include "nn/weights.h"
#include "train/loader.h"
#include "train/ranks.h"

namespace longhand {
namespace {

constexpr std::int64_t shard_size = 1024;
constexpr std::int64_t encode_batch = 32;

fs::path shard_path(const fs::path& folder, std::int64_t shard) {
  return folder / fmt::format("{:05}.safetensors", shard);
}

/// Those that are not there, dealt out to the ranks.
std::vector<std::int64_t> own_missing_shards(const fs::path& folder, std::int64_t shards) {
  std::vector<std::int64_t> missing;
  for (std::int64_t shard = 0; shard < shards; ++shard) {
    if (!fs::exists(shard_path(folder, shard))) {
      missing.push_back(shard);
    }
  }
  ranks::barrier();  // all ranks have looked before one writes
  std::vector<std::int64_t> own;
  for (std::size_t i = ranks::rank(); i < missing.size(); i += ranks::size()) {
    own.push_back(missing[i]);
  }
  return own;
}

/// Encodes this rank's part of the shards that are not there.
void make_shards(const fs::path& folder, const Autoencoder& vae, const World& world,
                 const Recipe& recipe, std::int64_t shards, at::ScalarType dtype) {
  const std::vector<std::int64_t> own = own_missing_shards(folder, shards);
  if (own.empty()) {
    return;
  }
  constexpr std::int64_t batches = shard_size / encode_batch;
  const std::int64_t own_batches = std::ssize(own) * batches;
  Loader<at::Tensor> loader(
      [&](std::int64_t batch) {
        // The loader runs ahead of the last batch, too.
        const std::int64_t shard = own[std::min(batch, own_batches - 1) / batches];
        std::vector<at::Tensor> pictures;
        for (std::int64_t i = 0; i < encode_batch; ++i) {
          const Scene scene = numbered_scene(
              world, recipe.seed, shard * shard_size + batch % batches * encode_batch + i);
          pictures.push_back(picture_to_tensor(world.draw(scene, recipe.resolution)));
        }
        return at::stack(pictures).to(dtype).contiguous(at::MemoryFormat::ChannelsLast);
      },
      0);
  std::optional<Progress> progress;  // of rank 0's part; the others' are as large
  if (ranks::rank() == 0) {
    progress.emplace("encoding", "pictures", own_batches * encode_batch);
  }
  for (const std::int64_t shard : own) {
    std::vector<at::Tensor> parts;
    for (std::int64_t i = 0; i < batches; ++i) {
      throw_if_interrupted();
      parts.push_back(vae.latents_of(loader.next()));
      if (progress) {
        progress->advance(encode_batch);
      }
    }
    save_tensors(shard_path(folder, shard), {{"latents", at::cat(parts)}}, at::kBFloat16);
  }
}

/// The first scene's kept latents are this autoencoder's.
void check_first(const at::Tensor& latents, const Autoencoder& vae, const World& world,
                 const Recipe& recipe, at::ScalarType dtype, const fs::path& folder) {
  const Scene first = numbered_scene(world, recipe.seed, 0);
  check_kept(latents, picture_to_tensor(world.draw(first, recipe.resolution)), vae, dtype, folder);
}

}  // namespace

Scene numbered_scene(const World& world, std::uint64_t seed, std::int64_t index) {
  Random random({seed, static_cast<std::uint64_t>(index)});
  return world.sample(random);
}

at::Tensor kept_latents(const fs::path& folder, const Autoencoder& vae, const World& world,
                        const Recipe& recipe, std::int64_t count, at::ScalarType dtype) {
  const c10::AutoGradMode no_grad(false);
  const std::int64_t shards = (count + shard_size - 1) / shard_size;
  if (ranks::rank() == 0) {
    const nlohmann::json about = {{"world", recipe.world},
                                  {"fingerprint", world.fingerprint()},
                                  {"seed", recipe.seed},
                                  {"resolution", recipe.resolution}};
    claim_folder(folder / "latents.json", about.dump());
  }
  if (fs::exists(
          shard_path(folder, 0))) {  // made earlier; more of them would be of this autoencoder
    check_first(load_tensors(shard_path(folder, 0)).at("latents")[0], vae, world, recipe, dtype,
                folder);
  }
  make_shards(folder, vae, world, recipe, shards, dtype);
  ranks::barrier();
  std::vector<at::Tensor> all;
  for (std::int64_t shard = 0; shard < shards; ++shard) {
    all.push_back(load_tensors(shard_path(folder, shard)).at("latents"));
  }
  return at::cat(all).narrow(0, 0, count);
}

void check_kept(const at::Tensor& latents, const at::Tensor& picture, const Autoencoder& vae,
                at::ScalarType dtype, const fs::path& kept) {
  const c10::AutoGradMode no_grad(false);
  const at::Tensor anew = vae.latents_of(picture.unsqueeze(0).to(dtype))[0].to(at::kFloat);
  const at::Tensor difference = anew - latents.to(at::kFloat);
  // bfloat16 in batches of another size differs by some 1 %, another autoencoder by about all.
  constexpr double most = 0.05;
  const double share = (difference.norm() / anew.norm()).item<double>();
  if (!(share < most)) {
    fail(Kind::corrupt,
         "{} holds latents of another autoencoder (its first picture's differ by {:.0f} %); remove "
         "it, or take the model that they were made with",
         kept.string(), 100 * share);
  }
}

}  // namespace longhand
