// Loops of our own on libtorch's threads. at::parallel_for in a header of libtorch's would need
// OpenMP here too, and with the compiler's own OpenMP beside libtorch's two sets of threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

namespace longhand {

/// Calls body(begin, end) on parts of [0, count), one part a thread; serial where a loop is running
/// in parallel already, and where count is below `grain`.
void parallel_for(std::int64_t count,
                  const std::function<void(std::int64_t begin, std::int64_t end)>& body,
                  std::int64_t grain = 1);

/// As many calls of body() as there are threads, at once; serial where a loop is running in
/// parallel already. For bodies that take their work from a Queue.
void on_each_thread(const std::function<void()>& body);

/// Blocks of [0, count), each taken once, by whichever thread is free: where threads differ in
/// speed, none waits long for another.
class Queue {
 public:
  Queue(std::int64_t count, std::int64_t block) : count_(count), block_(block) {}
  struct Block {
    std::int64_t begin, end;  // equal where nothing is left
  };
  Block take();

 private:
  std::int64_t count_, block_;
  std::atomic<std::int64_t> taken_ = 0;
};

}  // namespace longhand
