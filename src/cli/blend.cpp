// longhand blend: a strip from one picture or text to another through CLIP's embeddings.
#include <fmt/ranges.h>

#include "cli/commands.h"
#include "cli/embedding.h"
#include "core/interrupt.h"
#include "core/progress.h"

namespace longhand {
namespace {

constexpr const char* examples = R"(Examples:
  longhand blend cat.png dog.png --model stable-unclip -o strip.png
  longhand blend cat.png dog.png owl.png --model stable-unclip --count 9 -o strip.png
  longhand blend cat.png "a cat as an origami figure" --model kandinsky22 -o strip.png
  longhand blend cat.png dog.png --model stable-unclip --frames frames -o strip.png

All pictures of the strip are painted from one noise, the seed's; the ends are variations of the
inputs. A text needs a model with a prior (Kandinsky 2.2, Karlo), which imagines a picture of it.)";

struct Arguments {
  BlendRequest request;
  std::string out, frames, preview;
};

std::vector<Order> orders_of(const BlendRequest& request, const std::vector<BlendInput>& inputs,
                             const DiffusionModel& model) {
  Progress progress("imagining what the texts show", "steps", 0);
  return blend(request, inputs, model, [&] {
    throw_if_interrupted();
    progress.advance();
  });
}

int blend_inputs(Arguments& arguments) {
  BlendRequest& request = arguments.request;
  if (!arguments.out.empty()) {
    check_ending(arguments.out);
  }
  strip_length(request);
  std::vector<BlendInput> inputs;
  for (const std::string& name : request.inputs) {
    inputs.push_back(blend_input(name));
  }
  const Painter painter = painter_of(request, arguments.preview);
  for (const BlendInput& input : inputs) {
    warn_of_length(input.picture ? "" : input.text, painter.model());
  }
  PaintOptions options = embedding_painting_of(request);
  write_previews(options, arguments.preview);
  const auto images = painted(painter, orders_of(request, inputs, painter.model()), options);
  PictureRecord record = embedding_record(request, "blend", request.inputs);
  record.request.prompt = fmt::format(
      "{}", fmt::join(record.embedding["inputs"].get<std::vector<std::string>>(), " → "));
  const fs::path out = arguments.out.empty()
                           ? name_for("blend " + record.request.prompt, request.seed.value())
                           : fs::path(arguments.out);
  write_strip(out, arguments.frames, images, record, {"part", 1});
  return 0;
}

}  // namespace

std::function<int()> declare_blend(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  app.add_option("inputs", arguments->request.inputs, "pictures' files, and texts, in order")
      ->required();
  app.add_option("-o,--out", arguments->out,
                 "the strip: a .png, .jpg or .webp file (default: the inputs and the seed)");
  app.add_option("--frames", arguments->frames, "a folder for the single pictures too");
  add_preview(app, arguments->preview);
  add_embedding_fields(app, arguments->request);
  app.remove_option(app.get_option("--best-of"));  // all are painted from one noise
  app.footer(examples);
  return [arguments] { return blend_inputs(*arguments); };
}

}  // namespace longhand
