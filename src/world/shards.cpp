#include "world/shards.h"

#include <algorithm>

#include "core/error.h"
#include "core/interrupt.h"
#include "core/progress.h"
#include "nn/parallel.h"

namespace longhand {
namespace {

constexpr std::size_t block = 512;  // of a tar file, in bytes

/// A member of a tar file in POSIX's ustar format, of no time and no owner.
std::string tar_member(const std::string& name, const std::string& bytes) {
  std::string header(block, '\0');
  const auto put = [&](std::size_t at, const std::string& text) {
    header.replace(at, text.size(), text);
  };
  put(0, name);
  put(100, "0000644");
  put(108, "0000000");
  put(116, "0000000");
  put(124, fmt::format("{:011o}", bytes.size()));
  put(136, "00000000000");
  put(148, "        ");  // the checksum counts its own field as spaces
  put(156, "0");
  put(257, std::string("ustar\0"
                       "00",
                       8));
  unsigned sum = 0;
  for (const char c : header) {
    sum += static_cast<std::uint8_t>(c);
  }
  put(148, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
  return header + bytes + std::string((block - bytes.size() % block) % block, '\0');
}

std::string members_of(const World& world, const ShardRequest& request, std::int64_t number) {
  const CaptionedScene drawn = captioned_scene(world, request.seed, number);
  const std::string key = fmt::format("{:09}", number);
  return tar_member(key + ".png", encode_png(world.draw(drawn.scene, request.size))) +
         tar_member(key + ".json", drawn.about.dump()) +
         tar_member(key + ".txt", drawn.about.at("descriptive").get<std::string>());
}

/// The scenes [first, end) as a tar file, drawn on all threads.
std::string shard_bytes(const World& world, const ShardRequest& request, std::int64_t first,
                        std::int64_t end) {
  std::vector<std::string> members(static_cast<std::size_t>(end - first));
  parallel_for(end - first, [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t i = from; i < to; ++i) {
      members[static_cast<std::size_t>(i)] = members_of(world, request, first + i);
    }
  });
  std::string bytes;
  for (const std::string& member : members) {
    bytes += member;
  }
  return bytes + std::string(2 * block, '\0');
}

/// What the shards of a request have in common.
nlohmann::json about(const ShardRequest& request) {
  return {{"world", request.world},
          {"seed", request.seed},
          {"count", request.count},
          {"per_shard", request.per_shard},
          {"size", request.size}};
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
  claim_folder(folder / "shards.json", about(request).dump());
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
