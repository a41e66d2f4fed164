// One client of an OpenAI-compatible endpoint: requests and their retries, answers checked, errors
// that say what to do.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "llm/language_model.h"

namespace httplib {
class Client;
}

namespace longhand {

/// What all clients of an endpoint share.
struct Endpoint {
  std::string url;   // as it was given, without a last slash
  std::string host;  // scheme://host:port
  std::string path;  // /v1
  std::string key;   // sent as Bearer, never shown
  std::string model;
  int timeout = 120;  // seconds
  // What it takes, as far as its refusals have told.
  mutable std::atomic<bool> extended{true};  // fields that are not OpenAI's
  mutable std::atomic<bool> sampled{true};   // a temperature and top_p of our choice
  mutable std::atomic<bool> renamed{false};  // the length as max_completion_tokens

  /// Throws invalid_argument.
  explicit Endpoint(const std::string& url);
};

/// For one thread; drop() is for the others.
class ChatClient {
 public:
  /// Waits end, and requests throw cancelled, once `stopped` says so.
  ChatClient(const Endpoint& endpoint, int timeout, std::function<bool()> stopped);
  ~ChatClient();

  /// GET URL/models: their names. Never empty: throws not_found.
  std::vector<std::string> models();
  /// POST URL/chat/completions: the answer's text, without what a model thought before it.
  std::string complete(const std::vector<Message>& shared, const std::vector<Message>& turns,
                       const Sampling& sampling, std::int64_t seed);
  /// Ends the request in flight.
  void drop();

 private:
  struct Reply;
  nlohmann::json body_of(const Sampling& sampling) const;
  bool learns(const nlohmann::json& asked, const Reply& refusal) const;
  Reply exchange(const std::string& path, const std::string& body);
  Reply request(const std::string& path, const std::string& body);
  void pause(double seconds) const;
  void check_stopped() const;
  [[noreturn]] void refuse(const Reply& reply) const;
  [[noreturn]] void refuse_unknown();
  std::string quoted(const std::string& body) const;

  const Endpoint& endpoint_;
  int timeout_;
  std::function<bool()> stopped_;
  std::unique_ptr<httplib::Client> client_;
};

}  // namespace longhand
