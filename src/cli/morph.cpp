// longhand morph: a strip from a picture along the difference of two texts.
#include "cli/commands.h"
#include "cli/embedding.h"
#include "text/sentences.h"

namespace longhand {
namespace {

constexpr const char* examples = R"(Examples:
  longhand morph cat.png --from "a photo of a cat" --to "an anime drawing of a super saiyan cat" \
      --model kandinsky22 -o strip.png
  longhand morph house.jpg --from "a victorian house" --to "a modern house" --theta 0.4 --count 9 \
      --model karlo-variations --frames frames -o strip.png

The picture's embedding turns towards the difference of the texts' embeddings. All pictures of the
strip start from the noise that ddim, run backwards, finds for the picture, so that the first is
the picture itself as the model can paint it, cut around its middle to the size that is painted; the
higher the guidance, the more steps that takes.)";

struct Arguments {
  MorphRequest request;
  std::string out, frames, preview;
};

int morph_picture(Arguments& arguments) {
  MorphRequest& request = arguments.request;
  if (!arguments.out.empty()) {
    check_ending(arguments.out);
  }
  check_prompt(request.from, "--from");
  check_prompt(request.to, "--to");
  require_own_noise(request);
  const Image picture = read_image(request.picture);
  const Painter painter = painter_of(request, arguments.preview);
  for (const std::string& text : {request.from, request.to}) {
    warn_of_length(text, painter.model());
  }
  std::vector<Order> orders = morph(request, picture, painter.model());
  PaintOptions options = embedding_painting_of(request);
  start_from_noise_of(picture, orders, painter, options);
  PictureRecord record = embedding_record(request, "morph", {request.picture});
  record.embedding["from"] = request.from;
  record.embedding["to"] = request.to;
  record.request.prompt = fmt::format("{} → {}", request.from, request.to);
  const fs::path out =
      arguments.out.empty() ? name_for(request.to, request.seed.value()) : fs::path(arguments.out);
  write_previews(options, arguments.preview);
  write_strip(out, arguments.frames, painted(painter, orders, options), record,
              {"theta", request.theta});
  return 0;
}

}  // namespace

std::function<int()> declare_morph(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  app.add_option("picture", arguments->request.picture, "a PNG, JPEG or WebP file")->required();
  app.add_option("-o,--out", arguments->out,
                 "the strip: a .png, .jpg or .webp file (default: the second text and the seed)");
  app.add_option("--frames", arguments->frames, "a folder for the single pictures too");
  add_preview(app, arguments->preview);
  add_embedding_fields(app, arguments->request);
  app.get_option("--from")->required();
  app.get_option("--to")->required();
  app.remove_option(app.get_option("--noise-level"));  // Stable unCLIP's, which knows no texts
  app.remove_option(app.get_option("--best-of"));      // all are painted from one noise
  app.get_option("--scheduler")->description("ddim, which can be run backwards, and no other");
  app.footer(examples);
  return [arguments] { return morph_picture(*arguments); };
}

}  // namespace longhand
