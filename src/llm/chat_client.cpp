#include "llm/chat_client.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <regex>
#include <thread>

#include "core/error.h"
#include "core/interrupt.h"
#include "core/log.h"
#include "llm/http.h"

namespace longhand {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr int tries = 3;
constexpr double first_wait = 0.5;  // seconds, tripled for the next try
constexpr double longest_wait = 60;
constexpr int connect_timeout = 10;
constexpr std::size_t longest_answer = 1 << 20;
constexpr std::size_t quoted_bytes = 200;
// Tokens; max_completion_tokens bounds what a model thinks and what it answers together.
constexpr int most_thoughts = 4096;
constexpr const char* trailer = "name another --llm, or leave it out for the model in the process";

/// A server that hangs up while we write must not end the process: SIGPIPE is held back on this
/// thread.
class WithoutSigpipe {
 public:
  WithoutSigpipe() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~WithoutSigpipe() {
    const timespec now{};
    sigtimedwait(&pipe_, nullptr, &now);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  WithoutSigpipe(const WithoutSigpipe&) = delete;
  WithoutSigpipe& operator=(const WithoutSigpipe&) = delete;

 private:
  sigset_t pipe_, before_;
};

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// What a reasoning model wrote before its answer is no caption.
std::string without_thoughts(std::string text) {
  const auto begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos || text.compare(begin, 7, "<think>") != 0) {
    return text;
  }
  const auto end = text.find("</think>", begin);
  return end == std::string::npos ? std::string() : text.substr(end + 8);
}

/// choices[0].message.content, of a model that refused or only thought ""; nothing where there is
/// none.
std::optional<std::string> content_of(const json& answer) {
  try {
    const json& content = answer.at("choices").at(0).at("message").at("content");
    return content.is_null() ? "" : content.get<std::string>();
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

json to_json(const std::vector<Message>& shared, const std::vector<Message>& turns) {
  json messages = json::array();
  for (const auto* each : {&shared, &turns}) {
    for (const Message& message : *each) {
      messages.push_back({{"role", message.role}, {"content", message.content}});
    }
  }
  return messages;
}

}  // namespace

Endpoint::Endpoint(const std::string& given) : url(given) {
  while (url.ends_with('/')) {
    url.pop_back();
  }
  static const std::regex form(R"((https?://[^/?#@\s]+)(/[^?#@\s]*)?)");
  std::smatch parts;
  if (!std::regex_match(url, parts, form)) {
    fail(Kind::invalid_argument,
         "the endpoint's address is not of the form http://HOST:PORT/v1 (a key goes into "
         "LONGHAND_API_KEY, not into the address)");
  }
  host = parts[1];
  path = parts[2];
}

/// How one request ended: `trouble` says why there is no whole answer.
struct ChatClient::Reply {
  int status = 0;
  std::string body;  // as much as came
  std::string trouble;
  bool may_pass = false;  // worth another try
  double retry_after = 0;
};

ChatClient::ChatClient(const Endpoint& endpoint, int timeout, std::function<bool()> stopped)
    : endpoint_(endpoint),
      timeout_(timeout),
      stopped_(std::move(stopped)),
      client_(std::make_unique<httplib::Client>(endpoint.host)) {
  if (!client_->is_valid()) {
    fail(Kind::invalid_argument, "{} is not an address to connect to; give http://HOST:PORT/v1",
         endpoint.url);
  }
  client_->set_connection_timeout(connect_timeout);
  client_->set_read_timeout(timeout);
  client_->set_write_timeout(timeout);
  client_->set_max_timeout(std::chrono::seconds(timeout));
  // A kept connection holds one of a small server's threads, and starves our other clients.
  client_->set_keep_alive(false);
  if (!endpoint.key.empty()) {
    client_->set_bearer_token_auth(endpoint.key);
  }
}

ChatClient::~ChatClient() = default;

void ChatClient::drop() { client_->stop(); }

void ChatClient::check_stopped() const {
  if (stopped_()) {
    throw stopped_by_signal();
  }
}

void ChatClient::pause(double seconds) const {
  const auto begin = Clock::now();
  while (seconds_since(begin) < seconds) {
    check_stopped();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

/// The first bytes of what came, safe to print, without the key.
std::string ChatClient::quoted(const std::string& body) const {
  std::string text = body;
  if (!endpoint_.key.empty()) {
    constexpr std::string_view hidden = "(key)";
    for (auto at = text.find(endpoint_.key); at != std::string::npos;
         at = text.find(endpoint_.key, at + hidden.size())) {
      text.replace(at, endpoint_.key.size(), hidden);
    }
  }
  text.resize(std::min(text.size(), quoted_bytes));
  // Through JSON, which replaces what is not UTF-8.
  const json::string_t valid =
      json::parse(json(text).dump(-1, ' ', false, json::error_handler_t::replace));
  std::string shown;
  for (std::size_t i = 0; i < valid.size(); ++i) {
    const auto c = static_cast<unsigned char>(valid[i]);
    const bool next_is_control = c == 0xc2 && static_cast<unsigned char>(valid[i + 1]) < 0xa0;
    if (next_is_control) {
      ++i;
    }
    shown += c < ' ' || c == 0x7f || next_is_control ? ' ' : valid[i];
  }
  return shown.empty() ? "(an empty body)" : shown;
}

/// One try: POST, or GET where there is no body.
ChatClient::Reply ChatClient::exchange(const std::string& path, const std::string& body) {
  const WithoutSigpipe guard;
  Reply reply;
  bool too_long = false;
  const auto receive = [&](const char* data, std::size_t size) {
    too_long = reply.body.size() + size > longest_answer;
    if (!too_long) {
      reply.body.append(data, size);
    }
    return !too_long;
  };
  const auto begin = Clock::now();
  const httplib::Result result =
      body.empty() ? client_->Get(endpoint_.path + path, receive)
                   : client_->Post(endpoint_.path + path, {}, body, "application/json", receive);
  if (result) {
    reply.status = result->status;
    reply.may_pass = reply.status == 408 || reply.status == 429 || reply.status >= 500;
    if (reply.may_pass) {
      reply.trouble = fmt::format("answers {}: {}", reply.status, quoted(reply.body));
      reply.retry_after = std::atof(result->get_header_value("Retry-After").c_str());
    }
    return reply;
  }
  using Trouble = httplib::Error;
  const Trouble error = result.error();
  if (too_long) {
    reply.trouble = "answers with more than 1 MiB";
  } else if (error == Trouble::SSLServerVerification || error == Trouble::SSLLoadingCerts ||
             error == Trouble::SSLServerHostnameVerification) {
    reply.trouble =
        "has a certificate that is not trusted (SSL_CERT_FILE may name your own authority's)";
  } else if (error == Trouble::Connection || error == Trouble::ConnectionTimeout ||
             error == Trouble::SSLConnection) {
    reply.trouble = "cannot be connected to; is the server running?";
    reply.may_pass = true;
  } else if (seconds_since(begin) > timeout_ - 0.1) {
    reply.trouble = fmt::format("has not answered within {} s", timeout_);
  } else {
    reply.trouble = reply.body.empty() ? "closed the connection before it answered"
                                       : "closed the connection in the middle of its answer";
    reply.may_pass = true;
  }
  return reply;
}

/// Up to three tries. Throws where none is answered; an answer of any other kind is the caller's.
ChatClient::Reply ChatClient::request(const std::string& path, const std::string& body) {
  double wait = first_wait;
  for (int left = tries - 1;; --left, wait *= 3) {
    check_stopped();
    Reply reply = exchange(path, body);
    check_stopped();
    if (reply.trouble.empty()) {
      return reply;
    }
    if (!reply.may_pass || left == 0) {
      refuse(reply);
    }
    pause(reply.retry_after > 0 ? std::min(reply.retry_after, longest_wait) : wait);
  }
}

/// Throws what a reply that is no answer means.
void ChatClient::refuse(const Reply& reply) const {
  const std::string& url = endpoint_.url;
  if (reply.status == 401 || reply.status == 403) {
    fail(Kind::invalid_argument, "{} refuses {} ({}); set LONGHAND_API_KEY or OPENAI_API_KEY", url,
         endpoint_.key.empty() ? "a request without a key" : "the key", reply.status);
  }
  if (reply.status == 0 && !reply.body.empty()) {
    fail(Kind::corrupt, "{} {}; what came begins: {}", url, reply.trouble, quoted(reply.body));
  }
  if (!reply.trouble.empty()) {
    const bool slow = reply.trouble.starts_with("has not answered");
    fail(Kind::unavailable, "{} {}{}; {}", url, reply.trouble,
         reply.may_pass ? fmt::format(" ({} tries)", tries) : "",
         slow ? "raise --llm-timeout, or lower --batch" : trailer);
  }
  if (reply.status / 100 == 3) {
    fail(Kind::not_found,
         "{} answers {}, a redirection; give the address that it leads to, ending in /v1", url,
         reply.status);
  }
  fail(Kind::invalid_argument, "{} refuses the request ({}): {}", url, reply.status,
       quoted(reply.body));
}

std::vector<std::string> ChatClient::models() {
  const Reply reply = request("/models", {});
  if (reply.status == 404) {
    fail(Kind::not_found,
         "{}/models is not there; the endpoint's address ends in /v1 as a rule, as in "
         "http://localhost:8000/v1",
         endpoint_.url);
  }
  if (reply.status != 200) {
    refuse(reply);
  }
  const json answer = json::parse(reply.body, nullptr, false);
  if (!answer.is_object() || !answer.contains("data") || !answer["data"].is_array()) {
    fail(Kind::corrupt, "{}/models is not a list of models; it begins: {}", endpoint_.url,
         quoted(reply.body));
  }
  std::vector<std::string> names;
  for (const json& model : answer["data"]) {
    if (model.is_object() && model.contains("id") && model["id"].is_string()) {
      names.push_back(model["id"]);
    }
  }
  if (names.empty()) {
    fail(Kind::not_found, "{} lists no models; load one there, or name one with --llm-model",
         endpoint_.url);
  }
  return names;
}

/// A 404: of the model, where the endpoint lists others, else of the address.
void ChatClient::refuse_unknown() {
  const auto names = models();
  fail(
      Kind::not_found, "{} has no model {} or no chat/completions; --llm-model takes one of: {}",
      endpoint_.url, endpoint_.model,
      quoted(fmt::format(
          "{}", fmt::join(names.begin(),
                          names.begin() + std::min<std::ptrdiff_t>(std::ssize(names), 20), ", "))));
}

/// What all requests ask for, in the fields that this endpoint takes.
json ChatClient::body_of(const Sampling& sampling) const {
  json body = {{"model", endpoint_.model}, {"n", 1}, {"stream", false}};
  if (endpoint_.sampled) {
    body["temperature"] = sampling.temperature;
    body["top_p"] = sampling.top_p;
  }
  if (endpoint_.renamed) {
    body["max_completion_tokens"] = sampling.max_new_tokens + most_thoughts;
  } else {
    body["max_tokens"] = sampling.max_new_tokens;
  }
  // vLLM, llama-server and Ollama take these or pass over them.
  if (endpoint_.extended) {
    body["top_k"] = sampling.top_k;
    body["chat_template_kwargs"] = {{"enable_thinking", false}};
  }
  return body;
}

/// True where a refusal names a field that was asked with and that can be done without: the next
/// request differs, and so do those of all other clients.
bool ChatClient::learns(const json& asked, const Reply& refusal) const {
  if (refusal.status != 400 && refusal.status != 422) {
    return false;
  }
  const auto names = [&](std::string_view words) {
    return refusal.body.find(words) != std::string::npos;
  };
  if (asked.contains("max_tokens") && names("max_completion_tokens")) {
    endpoint_.renamed = true;
    return true;
  }
  if (asked.contains("top_k") && (names("top_k") || names("chat_template_kwargs"))) {
    endpoint_.extended = false;
    return true;
  }
  // OpenAI's reasoning models: "Unsupported value: 'temperature' does not support 0.7".
  if (asked.contains("temperature") && names("nsupported") &&
      (names("temperature") || names("top_p"))) {
    if (endpoint_.sampled.exchange(false)) {
      spdlog::warn("{} samples in its own way; temperature and top_p are left out",
                   endpoint_.model);
    }
    return true;
  }
  return false;
}

std::string ChatClient::complete(const std::vector<Message>& shared,
                                 const std::vector<Message>& turns, const Sampling& sampling,
                                 std::int64_t seed) {
  for (;;) {
    json body = body_of(sampling);
    body["messages"] = to_json(shared, turns);
    body["seed"] = seed;
    const Reply reply =
        request("/chat/completions", body.dump(-1, ' ', false, json::error_handler_t::replace));
    if (learns(body, reply)) {
      continue;
    }
    if (reply.status == 404) {
      refuse_unknown();
    }
    if (reply.status != 200) {
      refuse(reply);
    }
    auto content = content_of(json::parse(reply.body, nullptr, false));
    if (!content) {
      fail(Kind::corrupt, "{} answers without choices[0].message.content; its answer begins: {}",
           endpoint_.url, quoted(reply.body));
    }
    return without_thoughts(std::move(*content));
  }
}

}  // namespace longhand
