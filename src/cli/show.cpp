// longhand show PICTURE: how it came about, from the text in its file.
#include <fmt/ranges.h>

#include "cli/command.h"
#include "cli/commands.h"
#include "pipeline/picture_record.h"

namespace longhand {
namespace {

void show(const std::string& path, bool json) {
  const ImageText text = read_png_text(path);
  const PictureRecord record = picture_record(text, path);
  if (json) {
    for (const auto& [key, value] : text) {
      if (key == "longhand") {
        fmt::print("{}\n", nlohmann::json::parse(value).dump(2));
      }
    }
    return;
  }
  const DrawRequest& request = record.request;
  const Size size = request.size.value_or(Size{});
  fmt::print("prompt     {}\n", request.prompt);
  fmt::print("caption    {}\n", record.caption);
  if (!record.llm.empty()) {
    fmt::print("lengthened by {}, template {}, {} candidates\n", record.llm, record.prompt_template,
               request.candidates);
  }
  fmt::print("model      {} ({})\n", request.model, request.dtype);
  fmt::print("size       {}x{}\n", size.width, size.height);
  fmt::print("seed       {}{}\n", request.seed.value_or(0),
             request.n > 1 ? fmt::format(" + {} (picture {} of {})", record.index, record.index + 1,
                                         request.n)
                           : "");
  fmt::print("scheduler  {}, {} steps, guidance {}\n", request.scheduler, request.steps.value_or(0),
             request.guidance.value_or(1));
  if (request.best_of > 1) {
    fmt::print("chosen     of {} attempts, the nearest to the caption\n", request.best_of);
  }
  if (!record.embedding.is_null()) {
    fmt::print("made by    longhand {} of {} (all of it: --json)\n",
               record.embedding.at("command").get<std::string>(),
               fmt::join(record.embedding.at("inputs").get<std::vector<std::string>>(), ", "));
  } else if (record.edit.is_null()) {
    fmt::print("again      longhand draw --like {} -o again.png\n", path);
  } else {
    fmt::print("edited     {}, strength {:.6g} (all of it: --json)\n",
               record.edit.at("picture").get<std::string>(),
               record.edit.at("strength").get<double>());
  }
}

}  // namespace

std::function<int()> declare_show(CLI::App& app) {
  auto path = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  app.add_option("picture", *path, "a PNG that longhand painted")->required();
  app.add_flag("--json", *json, "as JSON");
  app.footer(
      "  longhand show out.png\n"
      "  longhand draw --like out.png -o again.png\n"
      "Painted again on the same machine, a picture of draw is the same to the byte; one of "
      "compare,\n"
      "which was painted in a larger batch, may differ in last bits.");
  return [path, json] {
    show(*path, *json);
    return 0;
  };
}

}  // namespace longhand
