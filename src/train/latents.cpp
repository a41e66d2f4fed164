#include "train/latents.h"

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

/// Encodes what shards are not there.
void make_shards(const fs::path& folder, const Autoencoder& vae, const World& world,
                 const Recipe& recipe, std::int64_t shards, at::ScalarType dtype) {
  const nlohmann::json about = {
      {"world", recipe.world}, {"seed", recipe.seed}, {"resolution", recipe.resolution}};
  claim_folder(folder / "latents.json", about.dump());
  std::int64_t done = 0;
  while (done < shards && fs::exists(shard_path(folder, done))) {
    ++done;
  }
  if (done == shards) {
    return;
  }
  Loader<at::Tensor> loader(
      [&](std::int64_t batch) {
        std::vector<at::Tensor> pictures;
        for (std::int64_t i = 0; i < encode_batch; ++i) {
          const Scene scene = numbered_scene(world, recipe.seed, batch * encode_batch + i);
          pictures.push_back(picture_to_tensor(world.draw(scene, recipe.resolution)));
        }
        return at::stack(pictures).to(dtype).contiguous(at::MemoryFormat::ChannelsLast);
      },
      done * (shard_size / encode_batch));
  Progress progress("encoding", "pictures", shards * shard_size, done * shard_size);
  for (; done < shards; ++done) {
    std::vector<at::Tensor> parts;
    for (std::int64_t i = 0; i < shard_size / encode_batch; ++i) {
      throw_if_interrupted();
      parts.push_back(vae.latents_of(loader.next()));
      progress.advance(encode_batch);
    }
    save_tensors(shard_path(folder, done), {{"latents", at::cat(parts)}}, at::kBFloat16);
  }
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
    make_shards(folder, vae, world, recipe, shards, dtype);
  }
  ranks::barrier();
  std::vector<at::Tensor> all;
  for (std::int64_t shard = 0; shard < shards; ++shard) {
    all.push_back(load_tensors(shard_path(folder, shard)).at("latents"));
  }
  return at::cat(all).narrow(0, 0, count);
}

}  // namespace longhand
