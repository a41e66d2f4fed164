// Loops of our own on libtorch's threads. at::parallel_for in a header of libtorch's would need
// OpenMP here too, and with the compiler's own OpenMP beside libtorch's two sets of threads.
#pragma once

#include <cstdint>
#include <functional>

namespace longhand {

/// Calls body(begin, end) on parts of [0, count), one part a thread; serial where a loop is running
/// in parallel already, and where count is below `grain`.
void parallel_for(std::int64_t count,
                  const std::function<void(std::int64_t begin, std::int64_t end)>& body,
                  std::int64_t grain = 1);

}  // namespace longhand
