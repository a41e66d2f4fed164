// longhand strokes: a photo as a person might paint it in a few strokes.
#include "pipeline/strokes.h"

#include "cli/command.h"
#include "cli/commands.h"

namespace longhand {
namespace {

constexpr const char* examples = R"(Examples:
  longhand strokes photo.png -o strokes.png
  longhand strokes photo.png --colours 16 --kernel 11 -o finer.png
  longhand edit strokes.png "a red car on the beach" --strength 0.6 -o car.png)";

struct Arguments {
  StrokeOptions options;
  std::string photo, out;
};

int strokes(const Arguments& arguments) {
  const fs::path photo = arguments.photo;
  const fs::path out =
      arguments.out.empty() ? photo.stem().string() + "-strokes.png" : arguments.out;
  if (out.extension() != ".png") {
    fail(Kind::invalid_argument, "{}: strokes are written as .png, which keeps their few colours",
         out.string());
  }
  write_file_atomically(out, encode_png(strokes_of(read_image(photo), arguments.options)));
  fmt::print("{}\n", out.string());
  return 0;
}

}  // namespace

std::function<int()> declare_strokes(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  app.add_option("photo", arguments->photo, "a PNG, JPEG or WebP file")->required();
  app.add_option("-o,--out", arguments->out, "a .png file (default: PHOTO-strokes.png)");
  add_fields(app, arguments->options);
  app.footer(examples);
  return [arguments] { return strokes(*arguments); };
}

}  // namespace longhand
