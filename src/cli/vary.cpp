// longhand vary: a picture's CLIP embedding, painted anew.
#include "cli/commands.h"
#include "cli/embedding.h"
#include "text/sentences.h"

namespace longhand {
namespace {

constexpr const char* examples = R"(Examples:
  longhand vary photo.png --model stable-unclip --n 4 -o out.png     # out-1.png … out-4.png
  longhand vary photo.png "at night" --model stable-unclip -o night.png
  longhand vary photo.png --model stable-unclip --noise-level 300 -o farther.png
  longhand vary photo.png --model karlo-variations --eta 0.6 -o near.png

It paints what CLIP sees in the picture: the things and the style stay, their places need not.
With --eta, ddim is run backwards for the picture's own noise, so that much of its layout stays too.)";

struct Arguments {
  VaryRequest request;
  std::string out, preview;
};

int vary(Arguments& arguments) {
  VaryRequest& request = arguments.request;
  if (!arguments.out.empty()) {
    check_ending(arguments.out);
  }
  if (request.eta) {
    require_own_noise(request);
  }
  if (!request.prompt.empty()) {
    check_prompt(request.prompt, "the command line");
  }
  const Image picture = read_image(request.picture);
  const Painter painter = painter_of(request, arguments.preview);
  if (request.long_prompt == "warn") {
    warn_of_length(request.prompt, painter.model());
  }
  std::vector<Order> orders = variations(request, picture, painter.model());
  PaintOptions options = embedding_painting_of(request);
  PictureRecord record = embedding_record(request, "vary", {request.picture});
  record.request.prompt = record.caption = request.prompt;
  record.request.n = request.n;
  if (request.eta) {
    start_from_noise_of(picture, orders, painter, options);
    options.eta = *request.eta;
    record.embedding["eta"] = *request.eta;
  }
  const fs::path out =
      arguments.out.empty()
          ? name_for(fs::path(request.picture).stem().string() + " varied " + request.prompt,
                     request.seed.value())
          : fs::path(arguments.out);
  write_previews(options, arguments.preview);
  write_pictures(out, painted(painter, orders, options), record);
  return 0;
}

}  // namespace

std::function<int()> declare_vary(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  app.add_option("picture", arguments->request.picture, "a PNG, JPEG or WebP file")->required();
  app.add_option("prompt", arguments->request.prompt,
                 "what it is to show besides (Stable unCLIP and Karlo)");
  app.add_option("-o,--out", arguments->out,
                 "a .png, .jpg or .webp file (default: the picture's name and the seed)");
  add_preview(app, arguments->preview);
  add_embedding_fields(app, arguments->request);
  app.footer(examples);
  return [arguments] { return vary(*arguments); };
}

}  // namespace longhand
