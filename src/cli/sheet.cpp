// longhand sheet: many prompts → one picture of all, unpicked.
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/painting.h"
#include "cli/prompt_rows.h"
#include "core/interrupt.h"
#include "core/progress.h"
#include "io/hub_catalogue.h"
#include "nn/pictures.h"

namespace longhand {
namespace {

constexpr const char* examples = R"(Examples:
  longhand sheet --prompts parti --limit 64 -o sheet.png
  longhand sheet --prompts captions.csv --column "Upsampled Prompt" --columns 6 -o sheet.png
Prompts are painted as they are, one picture each, with the seeds that follow from --seed (default: 0): nothing is picked.)";

struct Arguments {
  PaintRequest request;
  PromptSource source;
  std::string out;
  int columns = 8;
  int batch = 16;
};

int sheet(const Arguments& arguments) {
  if (arguments.source.prompts.empty()) {
    fail(Kind::invalid_argument, "say which prompts: --prompts drawbench, or a file");
  }
  check_ending(arguments.out);
  PromptRows rows(arguments.source);
  PaintRequest request = arguments.request;
  request.seed = request.seed.value_or(0);
  const Painter painter = load_painter(request);
  resolve(request, ModelDefaults::of(resolve_model(request.model)), painter);
  require_text(painter, request);
  const PaintOptions options = painting_of(request);
  std::vector<Image> pictures;
  Progress progress("painting", "pictures", rows.total());
  for (bool more = true; more;) {
    std::vector<Order> orders;
    while (std::ssize(orders) < arguments.batch) {
      const auto row = rows.next();
      if (!row) {
        more = false;
        break;
      }
      orders.push_back({.caption = row->prompt, .seed = *request.seed + row->number});
    }
    throw_if_interrupted();
    if (orders.empty()) {
      break;
    }
    for (Image& picture : painter.paint(orders, options)) {
      pictures.push_back(std::move(picture));
      progress.advance();
    }
  }
  if (pictures.empty()) {
    fail(Kind::invalid_argument, "{} has no prompts", arguments.source.prompts);
  }
  const Image whole = contact_sheet(pictures, arguments.columns);
  const fs::path out = holding(arguments.out, whole);
  write_file_atomically(out, encoded(out, whole));
  fmt::print("{}\n", out.string());
  return 0;
}

}  // namespace

std::function<int()> declare_sheet(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  add_source(app, arguments->source);
  app.add_option("-o,--out", arguments->out, "a .png, .jpg or .webp file")->required();
  app.add_option("--columns", arguments->columns, "pictures side by side")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--batch", arguments->batch, "pictures painted at once")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  add_fields(app, arguments->request);
  add_memory(app);
  app.footer(examples);
  return [arguments] { return sheet(*arguments); };
}

}  // namespace longhand
