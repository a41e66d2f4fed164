// What vary, blend and morph have in common: options, records, and the files that are left.
#pragma once

#include "cli/command.h"
#include "cli/painting.h"
#include "pipeline/vary.h"

namespace longhand {

/// Declares a request's fields without those that make no sense for embeddings.
template <class Request>
void add_embedding_fields(CLI::App& app, Request& request) {
  add_fields(app, request);
  add_memory(app);
  for (const char* option : {"--refiner", "--refiner-start"}) {
    app.remove_option(app.get_option(option));  // it does not paint from embeddings
  }
}

/// Loads the model and sets what the request leaves open. `preview`: the file of --preview, or "".
Painter painter_of(EmbeddingRequest& request, const std::string& preview);

/// A resolved request as pictures' files record it. Of inputs that are files, their names alone are
/// kept.
PictureRecord embedding_record(const EmbeddingRequest& request, const std::string& command,
                               const std::vector<std::string>& inputs);

/// Has the orders start from the picture's own noise, with a progress line, and the options run so.
void start_from_noise_of(const Image& picture, std::vector<Order>& orders, const Painter& painter,
                         PaintOptions& options);

/// Writes the pictures side by side; also one by one, 001.png, 002.png, …, where `frames` names a
/// folder. `along` is what the last one's place is called and where it lies; the first one's is 0.
void write_strip(const fs::path& out, const fs::path& frames, const std::vector<Image>& images,
                 PictureRecord record, const std::pair<std::string, double>& along);

}  // namespace longhand
