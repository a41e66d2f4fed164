#include "cli/painting.h"

#include <algorithm>
#include <cctype>

#include "core/error.h"
#include "core/interrupt.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/progress.h"
#include "nn/pictures.h"
#include "pipeline/language_models.h"
#include "text/emphasis.h"

namespace longhand {
namespace {

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

}  // namespace

fs::path name_for(const std::string& words, std::int64_t seed) {
  std::string name;
  for (const char c : words.substr(0, 48)) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0;
    if (plain || (!name.empty() && name.back() != '-')) {
      name += plain ? static_cast<char>(std::tolower(static_cast<unsigned char>(c))) : '-';
    }
  }
  return fmt::format("{}{}{}.png", name, name.empty() || name.back() == '-' ? "" : "-", seed);
}

void check_ending(const fs::path& path) {
  const std::string ending = path.extension();
  if (ending != ".png" && ending != ".jpg" && ending != ".jpeg" && ending != ".webp") {
    fail(Kind::invalid_argument, "{}: the ending \"{}\" is not known; expected .png, .jpg or .webp",
         path.string(), ending);
  }
}

fs::path holding(const fs::path& path, const Image& image) {
  const std::string ending = path.extension();
  const int most = ending == ".webp" ? 16383 : 65500;  // libvips' bounds of WebP and JPEG
  if (ending == ".png" || std::max(image.width, image.height) <= most) {
    return path;
  }
  fs::path other = fs::path(path).replace_extension(".png");
  spdlog::warn("{}: {}x{} pixels are more than {} holds ({} a side); it is written as {}",
               path.string(), image.width, image.height, ending, most, other.string());
  return other;
}

std::string encoded(const fs::path& path, const Image& image, const PictureRecord& record) {
  return encoded(path, image, picture_text(record), a1111_parameters(record));
}

std::string encoded(const fs::path& path, const Image& image, const ImageText& text,
                    const std::string& parameters) {
  const std::string ending = path.extension();
  if (ending == ".png") {
    return encode_png(image, text);
  }
  if (ending == ".jpg" || ending == ".jpeg") {
    return encode_jpeg(image, 92, parameters);
  }
  return encode_webp(image, 90, parameters);
}

void add_preview(CLI::App& app, std::string& file) {
  app.add_option_function<std::string>(
      "--preview",
      [&file](const std::string& given) {
        check_ending(given);
        file = given;
      },
      "a .png, .jpg or .webp file for what the picture looks like on the way, written anew about "
      "ten times; look at it in a viewer that loads files again");
}

void add_memory(CLI::App& app) {
  app.add_option_function<std::string>(
      "--memory", [](const std::string& text) { limit_memory(parse_bytes(text)); },
      "the most memory to use, as 6GB (default: what the machine has free)");
}

void write_previews(PaintOptions& options, const std::string& file) {
  if (file.empty()) {
    return;
  }
  options.on_preview = [path = fs::path(file), broken = false](const Preview& preview) mutable {
    if (broken) {
      return;
    }
    const int n = static_cast<int>(preview.pictures.size());
    try {
      write_file_atomically(
          path, encoded(path, n == 1 ? preview.pictures[0] : contact_sheet(preview.pictures, n)));
    } catch (const Error& error) {
      broken = true;  // the picture is worth more than its previews
      spdlog::warn("{}; it is painted on without previews", error.what());
    }
  };
}

void write_pictures(const fs::path& out, const std::vector<Image>& images, PictureRecord record) {
  const int n = static_cast<int>(images.size());
  for (record.index = 0; record.index < n; ++record.index) {
    const fs::path path = numbered(out, record.index, n);
    write_file_atomically(path,
                          encoded(path, images[static_cast<std::size_t>(record.index)], record));
    fmt::print("{}\n", path.string());
  }
}

void lengthen(PictureRecord& record, const ModelDefaults& defaults, const DiffusionModel& model) {
  const std::string& prompt = record.request.prompt;
  const bool weighs = record.request.emphasis &&
                      std::ranges::any_of(parse_emphasis(prompt),
                                          [](const auto& piece) { return piece.weight != 1; });
  if (weighs || model.tokenizer()->count(prompt) > model.max_tokens()) {
    record.caption = prompt;
    return;
  }
  const UpsampleRequest upsampling = upsampling_of(record.request, defaults, model.max_tokens());
  const auto llm = load_language_model(upsampling);
  const Upsampler upsampler(llm, Template::load(upsampling.prompt_template), upsampling,
                            model.tokenizer());
  record.caption = upsampler.upsample({prompt, "", {}}).caption;
  record.llm = llm->name();
  record.prompt_template = upsampler.prompt_template().name;
}

void warn_of_length(const std::string& caption, const DiffusionModel& model) {
  const auto tokenizer = model.tokenizer();
  const int max_tokens = model.max_tokens();
  const auto ids = tokenizer->encode(caption);
  const auto room = static_cast<std::size_t>(max_tokens - 2);
  if (ids.size() > room) {
    spdlog::warn("the text has {} tokens and the painter reads {}; it will not see: {}",
                 ids.size() + 2, max_tokens, tokenizer->decode(std::span(ids).subspan(room)));
  }
}

std::vector<Image> painted(const Painter& painter, const std::vector<Order>& orders,
                           PaintOptions options, const std::string& what) {
  Progress progress(what, "steps", painter.steps(orders, options));
  options.on_step = [&] {
    throw_if_interrupted();
    progress.advance();
  };
  return painter.paint(orders, options);
}

}  // namespace longhand
