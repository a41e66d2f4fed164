// longhand world: scenes to look at, and to train on.
#include "world/world.h"

#include "cli/command.h"
#include "cli/commands.h"
#include "nn/pictures.h"
#include "world/shards.h"

namespace longhand {
namespace {

struct WorldRequest {
  std::string world = "small";
  bool list = false;
  std::string sheet;
  std::string out;
  std::int64_t count = 48;
  std::int64_t per_shard = 1000;
  std::string shard = "0/1";
  int columns = 8;
  int size = 128;
  std::int64_t seed = 0;

  static constexpr auto fields = std::tuple{
      field("world", &WorldRequest::world,
            "small: what the embedded painter was trained on; full: all that can be drawn"),
      field("list", &WorldRequest::list, "print what the world is made of, as JSON"),
      field("sheet", &WorldRequest::sheet,
            "write a contact sheet to this PNG; captions are printed"),
      field("out", &WorldRequest::out,
            "write WebDataset shards to this folder: pictures, scene graphs, three captions each"),
      field("count", &WorldRequest::count, "how many scenes", 1, 1e9),
      field("per_shard", &WorldRequest::per_shard, "scenes in a shard", 1, 1e5),
      field(
          "shard", &WorldRequest::shard,
          "i/n: write every n-th shard only, from the i-th on (0 to n-1), beside other processes"),
      field("columns", &WorldRequest::columns, "columns of the sheet", 1, 100),
      field("size", &WorldRequest::size, "pixels a side", 16, 1024),
      field("seed", &WorldRequest::seed, "which scenes", 0, 9e15),
  };
};

void write_sheet(const World& world, const WorldRequest& request) {
  if (request.count > 10000) {
    fail(Kind::invalid_argument, "a sheet holds up to 10000 scenes, not {}", request.count);
  }
  std::vector<Image> pictures;
  for (std::int64_t i = 0; i < request.count; ++i) {
    const CaptionedScene drawn =
        captioned_scene(world, static_cast<std::uint64_t>(request.seed), i);
    const auto caption = [&](const char* name) { return drawn.about.at(name).get<std::string>(); };
    fmt::print("{:3}  {}\n     {}\n     {}\n", i, caption("alt"), caption("short"),
               caption("descriptive"));
    pictures.push_back(world.draw(drawn.scene, request.size));
  }
  write_file_atomically(request.sheet, encode_png(contact_sheet(pictures, request.columns)));
}

void print_list(const World& world) {
  const nlohmann::json list = {{"things", world.things()},       {"styles", world.styles()},
                               {"places", world.places()},       {"weather", world.weather()},
                               {"words", world.words()},         {"colours", World::colours()},
                               {"relations", World::relations()}};
  fmt::print("{}\n", list.dump(1));
}

int run(const WorldRequest& request) {
  if (!request.list && request.sheet.empty() && request.out.empty()) {
    fail(Kind::invalid_argument, "say what for: --list, --sheet FILE.png or --out FOLDER");
  }
  const auto [part, parts] = shard_of(request.shard);
  const World world(request.world);
  if (request.list) {
    print_list(world);
  }
  if (!request.sheet.empty()) {
    write_sheet(world, request);
  }
  if (!request.out.empty()) {
    write_shards(request.out, world,
                 {request.world, static_cast<std::uint64_t>(request.seed), request.count,
                  request.per_shard, request.size},
                 part, parts);
  }
  return 0;
}

}  // namespace

std::function<int()> declare_world(CLI::App& app) {
  auto request = std::make_shared<WorldRequest>();
  add_fields(app, *request);
  app.footer(
      "Scenes with known truth, which models are trained on and tested with.\n\n"
      "  longhand world --list\n"
      "  longhand world --world full --sheet sheet.png\n"
      "  longhand world --world full --out shards --count 100000 --seed 7\n"
      "  longhand world --world full --out shards --count 100000 --seed 7 --shard 0/4");
  return [request] { return run(*request); };
}

}  // namespace longhand
