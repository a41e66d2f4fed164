#include "cli/embedding.h"

#include "core/interrupt.h"
#include "core/progress.h"
#include "io/hub_catalogue.h"
#include "nn/pictures.h"

namespace longhand {

Painter painter_of(EmbeddingRequest& request, const std::string& preview) {
  const ModelDefaults defaults = ModelDefaults::of(resolve_model(request.model));
  Painter painter = load_painter(request, !preview.empty());
  resolve(request, defaults, painter);
  return painter;
}

PictureRecord embedding_record(const EmbeddingRequest& request, const std::string& command,
                               const std::vector<std::string>& inputs) {
  PictureRecord record;
  static_cast<PaintRequest&>(record.request) = request;
  record.request.no_upsample = true;
  record.embedding = {{"command", command}, {"noise_level", request.noise_level}};
  for (const std::string& input : inputs) {
    std::error_code unreadable;
    record.embedding["inputs"].push_back(
        fs::is_regular_file(input, unreadable) ? fs::path(input).filename().string() : input);
  }
  return record;
}

void start_from_noise_of(const Image& picture, std::vector<Order>& orders, const Painter& painter,
                         PaintOptions& options) {
  painter.check_memory(std::ssize(orders), options);  // before the picture's noise is looked for
  options.unbounded = true;
  PaintOptions inverting = options;
  Progress progress("finding the picture's noise", "steps",
                    painter.steps_of_noise(orders.front(), options));
  inverting.on_step = [&] {
    throw_if_interrupted();
    progress.advance();
  };
  start_from(picture, orders, painter, inverting);
}

void write_strip(const fs::path& out, const fs::path& frames, const std::vector<Image>& images,
                 PictureRecord record, const std::pair<std::string, double>& along) {
  record.embedding["count"] = images.size();
  if (!frames.empty()) {
    for (std::size_t i = 0; i < images.size(); ++i) {
      PictureRecord frame = record;
      frame.embedding[along.first] =
          along.second * static_cast<double>(i) / static_cast<double>(images.size() - 1);
      write_file_atomically(frames / fmt::format("{:03}.png", i + 1),
                            encode_png(images[i], picture_text(frame)));
    }
    fmt::print("{}\n", frames.string());
  }
  record.embedding[along.first] = along.second;
  const Image sheet = contact_sheet(images, static_cast<int>(images.size()));
  const fs::path file = holding(out, sheet);
  write_file_atomically(file, encoded(file, sheet, record));
  fmt::print("{}\n", file.string());
}

}  // namespace longhand
