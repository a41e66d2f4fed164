// longhand world: scenes to look at.
#include "world/world.h"

#include "cli/command.h"
#include "cli/commands.h"
#include "core/progress.h"
#include "nn/pictures.h"

namespace longhand {
namespace {

struct WorldRequest {
  bool list = false;
  std::string sheet;
  std::string out;
  int count = 48;
  int columns = 8;
  int size = 128;
  std::int64_t seed = 0;

  static constexpr auto fields = std::tuple{
      field("list", &WorldRequest::list, "print what the world is made of, as JSON"),
      field("sheet", &WorldRequest::sheet,
            "write a contact sheet to this PNG; captions are printed"),
      field("out", &WorldRequest::out, "write pictures and captions.jsonl to this folder"),
      field("count", &WorldRequest::count, "how many scenes", 1, 1e7),
      field("columns", &WorldRequest::columns, "columns of the sheet", 1, 100),
      field("size", &WorldRequest::size, "pixels a side", 16, 1024),
      field("seed", &WorldRequest::seed, "which scenes", 0, 9e15),
  };
};

struct Drawn {
  Image picture;
  nlohmann::json about;
};

Drawn draw(const World& world, const WorldRequest& request, int index) {
  Random random({static_cast<std::uint64_t>(request.seed), static_cast<std::uint64_t>(index)});
  const Scene scene = world.sample(random);
  Drawn drawn{world.draw(scene, request.size), World::graph(scene)};
  drawn.about["short"] = world.short_caption(scene, random);
  drawn.about["descriptive"] = world.descriptive_caption(scene, random);
  return drawn;
}

void write_sheet(const World& world, const WorldRequest& request) {
  std::vector<Image> pictures;
  for (int i = 0; i < request.count; ++i) {
    Drawn drawn = draw(world, request, i);
    fmt::print("{:3}  {}\n     {}\n", i, drawn.about["short"].get<std::string>(),
               drawn.about["descriptive"].get<std::string>());
    pictures.push_back(std::move(drawn.picture));
  }
  write_file_atomically(request.sheet, encode_png(contact_sheet(pictures, request.columns)));
}

void write_folder(const World& world, const WorldRequest& request) {
  Progress progress("drawing", "scenes", request.count);
  std::string captions;
  for (int i = 0; i < request.count; ++i) {
    Drawn drawn = draw(world, request, i);
    drawn.about["file_name"] = fmt::format("{:06}.png", i);
    write_file_atomically(fs::path(request.out) / drawn.about["file_name"].get<std::string>(),
                          encode_png(drawn.picture));
    captions += drawn.about.dump() + "\n";
    progress.advance();
  }
  write_file_atomically(fs::path(request.out) / "captions.jsonl", captions);
}

void print_list(const World& world) {
  const nlohmann::json list = {{"things", world.things()},
                               {"styles", world.styles()},
                               {"places", world.places()},
                               {"colours", world.colours()},
                               {"relations", World::relations()}};
  fmt::print("{}\n", list.dump(1));
}

}  // namespace

std::function<int()> declare_world(CLI::App& app) {
  auto request = std::make_shared<WorldRequest>();
  add_fields(app, *request);
  app.footer(
      "Scenes with known truth, which the embedded model is trained on.\n\n"
      "  longhand world --list\n"
      "  longhand world --sheet sheet.png\n"
      "  longhand world --out scenes --count 1000 --seed 7");
  return [request] {
    if (!request->list && request->sheet.empty() && request->out.empty()) {
      fail(Kind::invalid_argument, "say what for: --list, --sheet FILE.png or --out FOLDER");
    }
    const World world;
    if (request->list) {
      print_list(world);
    }
    if (!request->sheet.empty()) {
      write_sheet(world, *request);
    }
    if (!request->out.empty()) {
      write_folder(world, *request);
    }
    return 0;
  };
}

}  // namespace longhand
