// Figures and pictures of a run as TensorBoard reads them: Event messages (tensorboard/compat/proto
// event.proto, summary.proto) in TFRecord framing (tensorflow/core/lib/io/record_writer).
#pragma once

#include <cstdint>
#include <fstream>
#include <map>
#include <string>
#include <string_view>

#include "core/files.h"
#include "io/image.h"

namespace longhand {

class EventFile {
 public:
  /// A new file in folder. Readers drop what the folder's older files say of first_step and later:
  /// a resumed run goes over some steps again. Throws unavailable, as all below.
  EventFile(const fs::path& folder, std::int64_t first_step);

  void scalars(std::int64_t step, const std::map<std::string, double>& values);
  void image(std::int64_t step, const std::string& tag, const Image& image);

 private:
  void write(std::int64_t step, const std::string& content);

  fs::path path_;
  std::ofstream file_;
};

}  // namespace longhand
