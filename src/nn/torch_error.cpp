#include "nn/torch_error.h"

#include <string_view>

namespace longhand {

Error house_error(const c10::Error& error) {
  const std::string_view message = error.what();
  const bool memory = message.find("allocate memory") != std::string_view::npos ||  // processor
                      message.find("out of memory") != std::string_view::npos;      // CUDA
  return {memory ? Kind::out_of_memory : Kind::internal,
          std::string(error.what_without_backtrace()) +
              (memory ? "; take a smaller size or fewer pictures at once" : "")};
}

}  // namespace longhand
