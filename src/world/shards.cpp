#include "world/shards.h"

#include <algorithm>
#include <sstream>

#include "core/error.h"
#include "core/interrupt.h"
#include "core/progress.h"
#include "io/tar.h"
#include "nn/parallel.h"

namespace longhand {
namespace {

/// A scene's members by name.
using Members = std::vector<std::pair<std::string, std::string>>;

Members members_of(const World& world, const ShardRequest& request, std::int64_t number) {
  const CaptionedScene drawn = captioned_scene(world, request.seed, number);
  const std::string key = fmt::format("{:09}", number);
  return {{key + ".png", encode_png(world.draw(drawn.scene, request.size))},
          {key + ".json", drawn.about.dump()},
          {key + ".txt", drawn.about.at("descriptive").get<std::string>()}};
}

/// The scenes [first, end) as a tar file, drawn on all threads.
std::string shard_bytes(const World& world, const ShardRequest& request, std::int64_t first,
                        std::int64_t end) {
  std::vector<Members> scenes(static_cast<std::size_t>(end - first));
  parallel_for(end - first, [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t i = from; i < to; ++i) {
      scenes[static_cast<std::size_t>(i)] = members_of(world, request, first + i);
    }
  });
  std::ostringstream bytes;
  TarWriter tar(bytes);
  for (const Members& scene : scenes) {
    for (const auto& [name, content] : scene) {
      tar.add(name, content);
    }
  }
  tar.close();
  return std::move(bytes).str();
}

/// What the shards of a request have in common.
nlohmann::json about(const World& world, const ShardRequest& request) {
  return {{"world", request.world}, {"fingerprint", world.fingerprint()}, {"seed", request.seed},
          {"count", request.count}, {"per_shard", request.per_shard},     {"size", request.size}};
}

}  // namespace

CaptionedScene captioned_scene(const World& world, std::uint64_t seed, std::int64_t number) {
  Random random({seed, static_cast<std::uint64_t>(number)});
  const Scene scene = world.sample(random);
  nlohmann::json about = World::graph(scene);
  about["short"] = world.short_caption(scene, random);
  about["descriptive"] = world.descriptive_caption(scene, random);
  about["alt"] = world.alt_text(scene, random);
  return {scene, about};
}

void write_shards(const fs::path& folder, const World& world, const ShardRequest& request,
                  std::int64_t part, std::int64_t parts) {
  claim_folder(folder / "shards.json", about(world, request).dump());
  Progress progress("drawing", "scenes", request.count / parts);
  const std::int64_t shards = (request.count + request.per_shard - 1) / request.per_shard;
  for (std::int64_t shard = part; shard < shards; shard += parts) {
    const std::int64_t first = shard * request.per_shard;
    const std::int64_t end = std::min(request.count, first + request.per_shard);
    const fs::path path = folder / fmt::format("{:06}.tar", shard);
    if (!fs::exists(path)) {
      throw_if_interrupted();
      write_file_atomically(path, shard_bytes(world, request, first, end));
    }
    progress.advance(end - first);
  }
}

}  // namespace longhand
