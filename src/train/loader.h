// Batches made in the background, in order: item i depends on i only, so a resumed run sees what an
// unbroken one would have seen.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

namespace longhand {

template <class Batch>
class Loader {
 public:
  /// make(i) is called for i = first, first + 1, … on one thread, at most `ahead` batches ahead.
  Loader(std::function<Batch(std::int64_t)> make, std::int64_t first, std::size_t ahead = 4)
      : make_(std::move(make)), ahead_(ahead), thread_([this, first] { work(first); }) {}

  ~Loader() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// The next batch; rethrows what make() threw.
  Batch next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !ready_.empty() || failure_; });
    if (ready_.empty()) {
      std::rethrow_exception(failure_);
    }
    Batch batch = std::move(ready_.front());
    ready_.pop_front();
    lock.unlock();
    changed_.notify_all();
    return batch;
  }

 private:
  void work(std::int64_t index) {
    for (;; ++index) {
      try {
        Batch batch = make_(index);
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return stop_ || ready_.size() < ahead_; });
        if (stop_) {
          return;
        }
        ready_.push_back(std::move(batch));
      } catch (...) {
        const std::lock_guard lock(mutex_);
        failure_ = std::current_exception();
        changed_.notify_all();
        return;
      }
      changed_.notify_all();
    }
  }

  std::function<Batch(std::int64_t)> make_;
  std::size_t ahead_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Batch> ready_;
  std::exception_ptr failure_;
  bool stop_ = false;
  std::thread thread_;  // last: it starts once all else is there
};

}  // namespace longhand
