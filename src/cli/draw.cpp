// longhand draw: one prompt → pictures with all that is needed to paint them again.
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/painting.h"
#include "core/interrupt.h"
#include "io/hub_catalogue.h"
#include "text/sentences.h"

namespace longhand {
namespace {

constexpr const char* examples = R"(Examples:
  longhand draw "a red car on the beach" -o car.png
  longhand draw "two dogs" --n 4 --seed 7 -o dogs.png      # dogs-1.png … dogs-4.png
  longhand draw "a blue dog" --no-upsample --steps 12 --guidance 3 -o dog.png
  longhand draw "a green frog" --best-of 4 -o frog.png     # the nearest of four to its caption
  longhand draw "a cat" --upsample-only
  longhand draw "a red car" --preview now.png -o car.png   # now.png shows how far it is
  longhand draw --like car.png -o again.png)";

struct Arguments {
  DrawRequest request;
  std::string out, like, preview;
  bool upsample_only = false;
};

/// Paints a picture again: all n of its request, as it was painted, of which its own is written.
int draw_like(const Arguments& arguments) {
  if (!arguments.request.prompt.empty()) {
    fail(Kind::invalid_argument, "--like takes all from the picture; leave the prompt out");
  }
  PictureRecord record = picture_record(read_png_text(arguments.like), arguments.like);
  if (!record.edit.is_null()) {
    fail(Kind::invalid_argument,
         "{} is an edit of {}, which its file does not hold; edit that again with `longhand edit` "
         "(longhand show says how it was edited)",
         arguments.like, record.edit.at("picture").get<std::string>());
  }
  if (!record.embedding.is_null()) {
    fail(
        Kind::invalid_argument,
        "{} was made of pictures that its file does not hold, by `longhand {}`; make it again with "
        "that (longhand show says how)",
        arguments.like, record.embedding.at("command").get<std::string>());
  }
  if (record.index < 0 || record.index >= record.request.n || !record.request.steps ||
      !record.request.guidance || !record.request.seed) {
    fail(Kind::corrupt, "{}: its record is not complete", arguments.like);
  }
  const fs::path out = arguments.out.empty() ? name_for(record.request.prompt, *record.request.seed)
                                             : fs::path(arguments.out);
  check_ending(out);
  if (const std::string& device = arguments.request.device; device != PaintRequest{}.device) {
    record.request.device = device;
  }
  const Painter painter = load_painter(record.request, !arguments.preview.empty());
  PaintOptions options = painting_of(record.request);
  write_previews(options, arguments.preview);
  const auto images = painted(painter, orders_of(record.request, record.caption), options);
  write_file_atomically(out, encoded(out, images[static_cast<std::size_t>(record.index)], record));
  fmt::print("{}\n", out.string());
  return 0;
}

int draw(const Arguments& arguments) {
  if (!arguments.out.empty()) {
    check_ending(arguments.out);
  }
  const std::string& prompt = arguments.request.prompt;
  if (!prompt.empty()) {  // only a loaded model tells whether it needs one
    check_prompt(prompt, "the command line");
  }
  const ModelDefaults defaults = ModelDefaults::of(resolve_model(arguments.request.model));
  const Painter painter = load_painter(arguments.request, !arguments.preview.empty());
  const bool reads = painter.model().max_tokens() > 0;
  if (reads) {
    check_prompt(prompt, "the command line");
  }
  PictureRecord record;
  record.request = arguments.request;
  resolve(record.request, defaults, painter);
  record.caption = record.request.prompt;
  if (reads || arguments.upsample_only) {
    require_text(painter, record.request);
  }
  if (!arguments.upsample_only) {
    painter.check_memory(record.request.n, painting_of(record.request));
  }
  if (reads && !record.request.no_upsample) {
    lengthen(record, defaults, painter.model());
    fmt::print("{}\n", record.caption);
    throw_if_interrupted();
  }
  if (arguments.upsample_only) {
    return 0;
  }
  if (reads && record.request.long_prompt == "warn") {
    warn_of_length(record.caption, painter.model());
  }
  const fs::path out = arguments.out.empty()
                           ? name_for(record.request.prompt, record.request.seed.value())
                           : fs::path(arguments.out);
  PaintOptions options = painting_of(record.request);
  write_previews(options, arguments.preview);
  write_pictures(out, painted(painter, orders_of(record.request, record.caption), options), record);
  return 0;
}

}  // namespace

std::function<int()> declare_draw(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  app.add_option("prompt", arguments->request.prompt, "what to paint");
  app.add_option("-o,--out", arguments->out,
                 "a .png, .jpg or .webp file (default: the prompt's words and the seed)");
  app.add_option("--like", arguments->like,
                 "paint this picture again, as its file says; --device may name another");
  add_preview(app, arguments->preview);
  app.add_flag("--upsample-only", arguments->upsample_only, "print the caption and paint nothing");
  add_fields(app, arguments->request);
  add_memory(app);
  app.footer(examples);
  return [arguments] { return arguments->like.empty() ? draw(*arguments) : draw_like(*arguments); };
}

}  // namespace longhand
