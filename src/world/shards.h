// WebDataset shards of scenes: tar files in which a scene is KEY.png, KEY.json and KEY.txt.
#pragma once

#include <cstdint>

#include "core/files.h"
#include "world/world.h"

namespace longhand {

/// Which scenes a folder of shards holds. A scene follows from the world, the seed and its number.
struct ShardRequest {
  std::string world = "small";
  std::uint64_t seed = 0;
  std::int64_t count = 1000;      // scenes in all shards together
  std::int64_t per_shard = 1000;  // scenes; the last shard has the rest
  int size = 128;                 // pixels a side
};

/// A scene with its captions: KEY.json is the scene graph, its captions as "alt", "short" and
/// "descriptive"; KEY.txt the descriptive caption.
struct CaptionedScene {
  Scene scene;
  nlohmann::json about;
};
CaptionedScene captioned_scene(const World& world, std::uint64_t seed, std::int64_t number);

/// Writes the shards part, part + parts, part + 2·parts… as folder/000000.tar and so on, each at
/// once and whole, with folder/shards.json saying what they hold; those that are there are left, so
/// that a killed job goes on, and several processes may share a folder. The same request gives the
/// same bytes. Throws invalid_argument where the folder holds shards of another request,
/// unavailable.
void write_shards(const fs::path& folder, const World& world, const ShardRequest& request,
                  std::int64_t part = 0, std::int64_t parts = 1);

}  // namespace longhand
