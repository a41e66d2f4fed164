#include "core/log.h"

#include <spdlog/cfg/helpers.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include <cstdlib>

namespace longhand {

void init_log() {
  auto logger = spdlog::stderr_color_mt("longhand");
  logger->set_pattern("%^%l%$: %v");
  spdlog::set_default_logger(logger);
  if (const char* level = std::getenv("LONGHAND_LOG")) {
    spdlog::cfg::helpers::load_levels(level);
  }
}

}  // namespace longhand
