// longhand draw: one prompt → pictures with all that is needed to paint them again.
#include "pipeline/draw.h"

#include <cctype>

#include "cli/command.h"
#include "cli/commands.h"
#include "core/interrupt.h"
#include "core/log.h"
#include "core/progress.h"
#include "io/hub_catalogue.h"
#include "pipeline/language_models.h"
#include "pipeline/picture_record.h"
#include "text/sentences.h"

namespace longhand {
namespace {

constexpr const char* examples = R"(Examples:
  longhand draw "a red car on the beach" -o car.png
  longhand draw "two dogs" --n 4 --seed 7 -o dogs.png      # dogs-1.png … dogs-4.png
  longhand draw "a blue dog" --no-upsample --steps 12 --guidance 3 -o dog.png
  longhand draw "a cat" --upsample-only
  longhand draw --like car.png -o again.png)";

struct Arguments {
  DrawRequest request;
  std::string out, like;
  bool upsample_only = false;
};

/// "a-red-car-7.png": a name where none was given.
fs::path name_for(const PictureRecord& record) {
  std::string name;
  for (const char c : record.request.prompt.substr(0, 48)) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0;
    if (plain || (!name.empty() && name.back() != '-')) {
      name += plain ? static_cast<char>(std::tolower(static_cast<unsigned char>(c))) : '-';
    }
  }
  return fmt::format("{}{}{}.png", name, name.empty() || name.back() == '-' ? "" : "-",
                     record.request.seed.value());
}

/// FILE.png → FILE-2.png where there are several.
fs::path numbered(const fs::path& path, int index, int n) {
  if (n == 1) {
    return path;
  }
  fs::path result = path;
  result.replace_filename(
      fmt::format("{}-{}{}", path.stem().string(), index + 1, path.extension().string()));
  return result;
}

/// The bytes of a file with this ending, the record in them.
std::string encoded(const fs::path& path, const Image& image, const PictureRecord& record) {
  const std::string ending = path.extension();
  if (ending == ".png") {
    return encode_png(image, picture_text(record));
  }
  if (ending == ".jpg" || ending == ".jpeg") {
    return encode_jpeg(image, 92, a1111_parameters(record));
  }
  return encode_webp(image, 90, a1111_parameters(record));
}

/// Throws invalid_argument, before anything is painted.
void check_ending(const fs::path& path) {
  const std::string ending = path.extension();
  if (ending != ".png" && ending != ".jpg" && ending != ".jpeg" && ending != ".webp") {
    fail(Kind::invalid_argument, "{}: the ending \"{}\" is not known; expected .png, .jpg or .webp",
         path.string(), ending);
  }
}

std::vector<Image> painted(const Painter& painter, const PictureRecord& record) {
  PaintOptions options = painting_of(record.request);
  Progress progress("painting", "steps", painter.calls(options));
  options.on_step = [&](int) {
    throw_if_interrupted();
    progress.advance();
  };
  return painter.paint(orders_of(record.request, record.caption), options);
}

/// Says which words the text encoder will not see.
void warn_of_length(const std::string& caption, int max_tokens) {
  const auto tokenizer = ClipTokenizer::shared();
  const auto ids = tokenizer->encode(caption);
  const auto room = static_cast<std::size_t>(max_tokens - 2);
  if (ids.size() > room) {
    spdlog::warn("the text has {} tokens and the painter reads {}; it will not see: {}",
                 ids.size() + 2, max_tokens, tokenizer->decode(std::span(ids).subspan(room)));
  }
}

/// Paints a picture again: all n of its request, as it was painted, of which its own is written.
int draw_like(const Arguments& arguments) {
  if (!arguments.request.prompt.empty()) {
    fail(Kind::invalid_argument, "--like takes all from the picture; leave the prompt out");
  }
  const PictureRecord record = picture_record(read_png_text(arguments.like), arguments.like);
  const fs::path out = arguments.out.empty() ? name_for(record) : fs::path(arguments.out);
  check_ending(out);
  if (record.index < 0 || record.index >= record.request.n || !record.request.steps ||
      !record.request.guidance || !record.request.seed) {
    fail(Kind::corrupt, "{}: its record is not complete", arguments.like);
  }
  const Painter painter = load_painter(record.request);
  const auto images = painted(painter, record);
  write_file_atomically(out, encoded(out, images[static_cast<std::size_t>(record.index)], record));
  fmt::print("{}\n", out.string());
  return 0;
}

/// The caption to paint, and by whom it was lengthened.
void lengthen(PictureRecord& record, const ModelDefaults& defaults, int max_tokens) {
  const UpsampleRequest upsampling = upsampling_of(record.request, defaults, max_tokens);
  const auto model = load_language_model(upsampling);
  const Upsampler upsampler(model, Template::load(upsampling.prompt_template), upsampling);
  record.caption = upsampler.upsample({record.request.prompt, "", {}}).caption;
  record.llm = model->name();
  record.prompt_template = upsampler.prompt_template().name;
}

int draw(const Arguments& arguments) {
  check_prompt(arguments.request.prompt, "the command line");
  if (!arguments.out.empty()) {
    check_ending(arguments.out);
  }
  const ModelDefaults defaults = ModelDefaults::of(resolve_model(arguments.request.model));
  const Painter painter = load_painter(arguments.request);
  PictureRecord record;
  record.request = arguments.request;
  resolve(record.request, defaults, painter);
  record.caption = record.request.prompt;
  if (!record.request.no_upsample) {
    lengthen(record, defaults, painter.model().max_tokens());
    fmt::print("{}\n", record.caption);
    throw_if_interrupted();
  }
  if (arguments.upsample_only) {
    return 0;
  }
  if (record.request.long_prompt == "warn") {
    warn_of_length(record.caption, painter.model().max_tokens());
  }
  const fs::path out = arguments.out.empty() ? name_for(record) : fs::path(arguments.out);
  const auto images = painted(painter, record);
  for (record.index = 0; record.index < record.request.n; ++record.index) {
    const fs::path path = numbered(out, record.index, record.request.n);
    write_file_atomically(path,
                          encoded(path, images[static_cast<std::size_t>(record.index)], record));
    fmt::print("{}\n", path.string());
  }
  return 0;
}

}  // namespace

std::function<int()> declare_draw(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  app.add_option("prompt", arguments->request.prompt, "what to paint");
  app.add_option("-o,--out", arguments->out,
                 "a .png, .jpg or .webp file (default: the prompt's words and the seed)");
  app.add_option("--like", arguments->like, "paint this picture again, as its file says");
  app.add_flag("--upsample-only", arguments->upsample_only, "print the caption and paint nothing");
  add_fields(app, arguments->request);
  app.footer(examples);
  return [arguments] { return arguments->like.empty() ? draw(*arguments) : draw_like(*arguments); };
}

}  // namespace longhand
