#include "llm/endpoint.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#include "core/error.h"
#include "core/interrupt.h"
#include "llm/chat_client.h"

namespace longhand {
namespace {

constexpr auto tick =
    std::chrono::milliseconds(50);  // how often the caller's thread looks for Ctrl-C
constexpr int listing_timeout = 10;

/// One call of generate(): a thread and a client for each request in flight.
class Flight {
 public:
  Flight(const Endpoint& endpoint, int most, const std::vector<Message>& shared,
         const Sampling& sampling)
      : endpoint_(endpoint), most_(most), shared_(shared), sampling_(sampling) {}

  /// Drops what is in flight.
  ~Flight() {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    work_.notify_all();
    while (running_ > 0) {
      lock.unlock();
      for (const auto& client : clients_) {
        client->drop();  // again and again: one may have been between two requests
      }
      lock.lock();
      news_.wait_for(lock, tick, [&] { return running_ == 0; });
    }
    lock.unlock();
    for (std::thread& thread : threads_) {
      thread.join();
    }
  }
  Flight(const Flight&) = delete;
  Flight& operator=(const Flight&) = delete;

  void work(const std::function<std::optional<Sequence>()>& next,
            const std::function<void(Generated)>& done) {
    for (int in_flight = 0;; --in_flight) {
      for (std::optional<Sequence> sequence; in_flight < most_ && (sequence = next());
           ++in_flight) {
        hand_out(std::move(*sequence));
      }
      if (in_flight == 0) {
        return;
      }
      done(await_one());
    }
  }

 private:
  void hand_out(Sequence sequence) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(sequence));
    if (idle_ < std::ssize(waiting_)) {
      clients_.push_back(std::make_unique<ChatClient>(endpoint_, endpoint_.timeout,
                                                      [this] { return stopping_.load(); }));
      threads_.emplace_back([this, client = clients_.back().get()] { serve(*client); });
      ++running_;
      ++idle_;
    }
    work_.notify_one();
  }

  Generated await_one() {
    std::unique_lock lock(mutex_);
    while (made_.empty()) {
      if (failure_) {
        std::rethrow_exception(failure_);
      }
      throw_if_interrupted();
      news_.wait_for(lock, tick);
    }
    Generated first = std::move(made_.front());
    made_.pop_front();
    return first;
  }

  /// A worker's life. The mutex is held except while a request is in flight.
  void serve(ChatClient& client) {
    std::unique_lock lock(mutex_);
    for (;;) {
      work_.wait(lock, [&] { return stopping_ || !waiting_.empty(); });
      if (stopping_ || failure_) {
        break;
      }
      Sequence sequence = std::move(waiting_.front());
      waiting_.pop_front();
      --idle_;
      lock.unlock();
      std::string text;
      std::exception_ptr failure;
      try {
        const auto seed =
            static_cast<std::int64_t>(sequence.random() >> 33);  // 31 bits: all servers take those
        text = client.complete(shared_, sequence.turns, sampling_, seed);
      } catch (...) {
        failure = std::current_exception();
      }
      lock.lock();
      ++idle_;
      if (failure) {
        failure_ = failure_ ? failure_ : failure;
        break;
      }
      made_.push_back({sequence.id, std::move(text)});
      news_.notify_one();
    }
    --running_;
    news_.notify_one();
  }

  const Endpoint& endpoint_;
  const int most_;
  const std::vector<Message>& shared_;
  const Sampling& sampling_;
  std::mutex mutex_;
  std::condition_variable work_, news_;
  std::deque<Sequence> waiting_;
  std::deque<Generated> made_;
  std::exception_ptr failure_;
  std::atomic<bool> stopping_{false};
  int running_ = 0;
  std::ptrdiff_t idle_ = 0;
  std::vector<std::unique_ptr<ChatClient>> clients_;
  std::vector<std::thread> threads_;
};

class EndpointModel : public LanguageModel {
 public:
  EndpointModel(const std::string& url, const EndpointOptions& options)
      : endpoint_(url), sequences_(std::max(1, options.sequences)) {
    endpoint_.timeout = options.timeout;
    endpoint_.key = key();
    endpoint_.model = options.model;
    if (endpoint_.model.empty()) {
      ChatClient client(endpoint_, std::min(listing_timeout, options.timeout), interrupted);
      endpoint_.model = client.models().front();
    }
  }
  std::string name() const override { return endpoint_.model; }
  bool steerable() const override { return false; }
  void generate(const std::vector<Message>& shared,
                const std::function<std::optional<Sequence>()>& next,
                const std::function<void(Generated)>& done, const Sampling& sampling) override {
    Flight(endpoint_, sequences_, shared, sampling).work(next, done);
  }

 private:
  static std::string key() {
    for (const char* variable : {"LONGHAND_API_KEY", "OPENAI_API_KEY"}) {
      const char* set = std::getenv(variable);
      if (set == nullptr || *set == '\0') {
        continue;
      }
      const std::string_view text = set;
      if (!std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; })) {
        fail(Kind::invalid_argument,
             "{} has spaces or characters that no key has; set it anew, without a line break",
             variable);
      }
      return set;
    }
    return {};
  }

  Endpoint endpoint_;
  int sequences_;
};

}  // namespace

bool is_endpoint(std::string_view text) {
  return text.starts_with("http://") || text.starts_with("https://");
}

std::unique_ptr<LanguageModel> connect_endpoint(const std::string& url,
                                                const EndpointOptions& options) {
  return std::make_unique<EndpointModel>(url, options);
}

}  // namespace longhand
