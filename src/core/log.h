// One logger on standard error; standard output belongs to results.
#pragma once

#include <spdlog/spdlog.h>

namespace longhand {

/// Sends spdlog's default logger to standard error; level from LONGHAND_LOG (debug, info, warn,
/// error).
void init_log();

}  // namespace longhand
