// longhand edit: a picture painted anew, as far as asked, towards a prompt.
#include "pipeline/edit.h"

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/painting.h"
#include "core/interrupt.h"
#include "io/hub_catalogue.h"
#include "text/sentences.h"

namespace longhand {
namespace {

constexpr const char* examples = R"(Examples:
  longhand edit sketch.png "a red car on the beach" -o car.png
  longhand edit photo.png "a cat" --mask mask.png --strength 0.8 -o cat.png
  longhand edit room.png "a dog in a room" --paste dog.png@40,60,0.5 --strength 0.3 -o dog.png
  longhand edit strokes.png --model google/ddpm-church-256 --strength 0.5 --repeats 3 -o church.png
  longhand edit sketch.png "two apples" --strength auto --faithfulness 0.12 -o apples.png

With --mask or --paste, what is kept has the same pixels as before, transparency included, and the
picture keeps its size; it is written as PNG. A picture's transparent parts are edited as white.
--strength auto edits at several strengths and takes the largest that stays within --faithfulness;
how real a result looks is not measured. A refiner edits as a --model of its own.)";

struct Arguments {
  EditRequest request;
  std::string picture, out, preview;
};

/// Throws invalid_argument where the file's format would change what is kept.
void check_keeps(const fs::path& out, const Canvas& canvas) {
  if (canvas.mask.defined() && out.extension() != ".png") {
    fail(Kind::invalid_argument, "{}: what is kept would not stay as it is; write a .png",
         out.string());
  }
}

/// The request as pictures' files record it.
PictureRecord record_of(const EditRequest& request, const Canvas& canvas) {
  PictureRecord record;
  static_cast<PaintRequest&>(record.request) = request;
  record.request.prompt = request.prompt;
  record.request.n = request.n;
  record.request.no_upsample = !request.upsample;
  record.caption = request.prompt;
  record.edit = request_to_json<EditChoices>(request);
  record.edit["picture"] = canvas.name;
  return record;
}

/// The prompt, lengthened where that is asked for.
void set_caption(PictureRecord& record, const ModelDefaults& defaults,
                 const DiffusionModel& model) {
  const bool words = model.max_tokens() > 0 && !record.request.prompt.empty();
  if (words) {
    check_prompt(record.request.prompt, "the command line");
  }
  if (!record.request.no_upsample) {
    if (!words) {
      fail(Kind::invalid_argument, "--upsample: there is no prompt that could be lengthened");
    }
    lengthen(record, defaults, model);
    fmt::print("{}\n", record.caption);
    throw_if_interrupted();
  }
  if (words && record.request.long_prompt == "warn") {
    warn_of_length(record.caption, model);
  }
}

PaintOptions options_of(const Arguments& arguments, const Canvas& canvas, double strength) {
  PaintOptions options = editing_of(arguments.request, canvas, strength);
  write_previews(options, arguments.preview);
  return options;
}

/// The pictures of the largest strength that is faithful enough; the strength goes to the record.
std::vector<Image> searched(const Painter& painter, const Arguments& arguments,
                            const Canvas& canvas, PictureRecord& record) {
  const EditRequest& request = arguments.request;
  const auto orders = orders_of(record.request, record.caption);
  std::vector<Image> best;
  record.edit["strength"] =
      largest_strength(request.steps.value(), request.faithfulness, [&](double strength) {
        auto images = painted(painter, orders, options_of(arguments, canvas, strength),
                              fmt::format("strength {:.3g}", strength));
        const double distance = distance_from_guide(canvas, images);
        const bool within = distance <= request.faithfulness;
        fmt::print("strength {:.3g}: {:.4f} from the picture, {} {:.4g}\n", strength, distance,
                   within ? "within" : "beyond", request.faithfulness);
        if (within) {
          best = std::move(images);
        }
        return distance;
      });
  return best;
}

std::vector<Image> edited(const Painter& painter, const Arguments& arguments, const Canvas& canvas,
                          PictureRecord& record) {
  const auto strength = strength_of(arguments.request);
  std::vector<Image> images;
  if (strength) {
    record.edit["strength"] = *strength;
    images = painted(painter, orders_of(record.request, record.caption),
                     options_of(arguments, canvas, *strength), "editing");
  } else {
    images = searched(painter, arguments, canvas, record);
  }
  for (Image& image : images) {
    image = finished(canvas, image);
  }
  return images;
}

/// The picture as it was, but for what is pasted, and resized where a size is asked for.
std::vector<Image> unedited(const EditRequest& request, const Canvas& canvas, bool resized,
                            PictureRecord& record) {
  record.edit["strength"] = 0.0;
  const Image& image = resized && !canvas.mask.defined() ? canvas.guide : canvas.picture;
  record.request.size = Size{image.width, image.height};
  return std::vector<Image>(static_cast<std::size_t>(request.n), image);
}

int edit(Arguments& arguments) {
  EditRequest& request = arguments.request;
  strength_of(request);
  const std::string words = request.prompt.empty()
                                ? fs::path(arguments.picture).stem().string() + " edited"
                                : request.prompt;
  if (!arguments.out.empty()) {
    check_ending(arguments.out);
  }
  Canvas canvas = read_canvas(arguments.picture, request);
  check_keeps(arguments.out.empty() ? "x.png" : arguments.out, canvas);
  const ModelDefaults defaults = ModelDefaults::of(resolve_model(request.model));
  const Painter painter = load_painter(request, !arguments.preview.empty());
  const bool resized = request.size.has_value();
  fit(request, canvas, painter.model());
  resolve(request, defaults, painter);
  PictureRecord record = record_of(request, canvas);
  set_caption(record, defaults, painter.model());
  const fs::path out =
      arguments.out.empty() ? name_for(words, request.seed.value()) : fs::path(arguments.out);
  const auto images = strength_of(request) == 0.0 ? unedited(request, canvas, resized, record)
                                                  : edited(painter, arguments, canvas, record);
  write_pictures(out, images, record);
  return 0;
}

}  // namespace

std::function<int()> declare_edit(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  app.add_option("picture", arguments->picture, "a PNG, JPEG or WebP file")->required();
  app.add_option("prompt", arguments->request.prompt,
                 "what it is to show; left out for models without text");
  app.add_option("-o,--out", arguments->out,
                 "a .png, .jpg or .webp file (default: the prompt's words and the seed)");
  add_preview(app, arguments->preview);
  add_fields(app, arguments->request);
  add_memory(app);
  app.get_option("--size")->description(
      "WIDTHxHEIGHT to edit at (default: the picture's, rounded down to what the model can paint)");
  for (const char* option : {"--refiner", "--refiner-start"}) {
    app.remove_option(app.get_option(option));
  }
  app.footer(examples);
  return [arguments] { return edit(*arguments); };
}

}  // namespace longhand
