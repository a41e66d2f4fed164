// An endpoint that a test serves: what is asked, what comes back, and each way in which it can go
// wrong.
#include "llm/endpoint.h"

#include <doctest/doctest.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "core/error.h"
#include "llm/http.h"

using namespace longhand;
using nlohmann::json;

namespace {

using Handler = std::function<void(const json& asked, httplib::Response&)>;

void answer(httplib::Response& response, const std::string& content) {
  const json message = {{"role", "assistant"}, {"content", content}};
  response.set_content(json{{"choices", {{{"index", 0}, {"message", message}}}}}.dump(),
                       "application/json");
}

/// A server with two models, that keeps what it was asked.
class Served {
 public:
  explicit Served(Handler handler) {
    server_.new_task_queue = [] { return new httplib::ThreadPool(16); };
    server_.Get("/v1/models", [](const httplib::Request&, httplib::Response& response) {
      response.set_content(R"({"data": [{"id": "first"}, {"id": "second"}]})", "application/json");
    });
    server_.Post("/v1/chat/completions",
                 [this, handler](const httplib::Request& request, httplib::Response& response) {
                   const json asked = json::parse(request.body);
                   {
                     const std::lock_guard lock(mutex_);
                     asked_.push_back(asked);
                     key_ = request.get_header_value("Authorization");
                     most_ = std::max(most_, ++now_);
                   }
                   handler(asked, response);
                   const std::lock_guard lock(mutex_);
                   --now_;
                 });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    server_.wait_until_ready();
  }
  ~Served() {
    server_.stop();
    thread_.join();
  }
  std::string url(const std::string& path = "/v1") const {
    return fmt::format("http://127.0.0.1:{}{}", port_, path);
  }
  std::vector<json> asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  std::string key() const { return key_; }
  int most() const { return most_; }

 private:
  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
  std::mutex mutex_;
  std::vector<json> asked_;
  std::string key_;
  int now_ = 0, most_ = 0;
};

/// A server that says `bytes` to whoever connects, and hangs up.
class Raw {
 public:
  explicit Raw(std::string bytes) {
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address);
    ::listen(listener_, 8);
    socklen_t size = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, bytes] {
      for (int peer; (peer = ::accept(listener_, nullptr, nullptr)) >= 0; ::close(peer)) {
        ++connections_;
        std::string got;
        char buffer[4096];
        // The headers and, behind them, the body's last bracket.
        while (!got.ends_with("}")) {
          const ssize_t size = ::recv(peer, buffer, sizeof buffer, 0);
          if (size <= 0) {
            break;
          }
          got.append(buffer, static_cast<std::size_t>(size));
        }
        ::send(peer, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      }
    });
  }
  ~Raw() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  std::string url() const { return fmt::format("http://127.0.0.1:{}/v1", port_); }
  int connections() const { return connections_; }

 private:
  int listener_ = -1, port_ = 0;
  std::atomic<int> connections_{0};
  std::thread thread_;
};

/// A certificate for localhost that signs itself, made anew.
struct Certificate {
  EVP_PKEY* key = EVP_RSA_gen(2048);
  X509* x509 = X509_new();
  Certificate() {
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), -60);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    X509_set_pubkey(x509, key);
    X509_NAME* name = X509_get_subject_name(x509);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
    X509_set_issuer_name(x509, name);
    X509_EXTENSION* names =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "DNS:localhost");
    X509_add_ext(x509, names, -1);
    X509_EXTENSION_free(names);
    X509_sign(x509, key, EVP_sha256());
  }
  ~Certificate() {
    X509_free(x509);
    EVP_PKEY_free(key);
  }
  Certificate(const Certificate&) = delete;
  Certificate& operator=(const Certificate&) = delete;
};

/// Generates for rows of four candidates each; texts by id.
std::map<std::int64_t, std::string> generate(LanguageModel& model, int count) {
  std::map<std::int64_t, std::string> texts;
  int id = 0;
  const auto caller = std::this_thread::get_id();
  model.generate(
      {{"system", "You lengthen."}},
      [&]() -> std::optional<Sequence> {
        CHECK(std::this_thread::get_id() == caller);
        if (id == count) {
          return std::nullopt;
        }
        const auto row = static_cast<std::uint64_t>(id / 4);
        const auto candidate = static_cast<std::uint64_t>(id % 4);
        Sequence made{
            id, {{"user", fmt::format("prompt {}", id)}}, "", Random({7, row, candidate}), nullptr};
        ++id;
        return made;
      },
      [&](Generated generated) {
        CHECK(std::this_thread::get_id() == caller);
        texts[generated.id] = generated.text;
      },
      {0.7, 50, 0.95, 256});
  return texts;
}

/// The error that one request ends with.
Error failure(const std::string& url, EndpointOptions options = {"some", 4, 5}) {
  try {
    const auto model = connect_endpoint(url, options);
    generate(*model, 1);
  } catch (const Error& error) {
    return error;
  }
  return {Kind::internal, "no error"};
}

bool says(const Error& error, const std::string& text) {
  return std::string(error.what()).find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("requests are answered side by side, each to its own sequence") {
  Served served([](const json& asked, httplib::Response& response) {
    const std::string prompt = asked.at("messages").back().at("content");
    std::this_thread::sleep_for(std::chrono::milliseconds(prompt.back() % 3 == 0 ? 60 : 20));
    answer(response, "caption of " + prompt);
  });
  const auto model = connect_endpoint(served.url("/v1/"), {"", 5, 30});
  CHECK(model->name() == "first");
  CHECK_FALSE(model->steerable());
  const auto texts = generate(*model, 24);
  REQUIRE(texts.size() == 24);
  for (const auto& [id, text] : texts) {
    CHECK(text == fmt::format("caption of prompt {}", id));
  }
  CHECK(served.most() > 1);
  CHECK(served.most() <= 5);
  const json one = served.asked().front();
  CHECK(one["model"] == "first");
  CHECK(one["messages"][0]["role"] == "system");
  CHECK(one["max_tokens"] == 256);
  CHECK(one["top_k"] == 50);
  CHECK(one["stream"] == false);
  CHECK(generate(*model, 0).empty());
}

TEST_CASE("seeds belong to row and candidate") {
  const auto seeds = [](int sequences) {
    Served served([](const json&, httplib::Response& response) { answer(response, "a cat."); });
    generate(*connect_endpoint(served.url(), {"some", sequences, 30}), 12);
    std::map<std::string, std::int64_t> by_prompt;
    for (const json& asked : served.asked()) {
      by_prompt[asked["messages"].back()["content"]] = asked["seed"];
    }
    return by_prompt;
  };
  const auto one = seeds(1);
  CHECK(one == seeds(8));
  std::set<std::int64_t> different;
  for (const auto& [prompt, seed] : one) {
    CHECK(seed >= 0);
    different.insert(seed);
  }
  CHECK(different.size() == 12);
}

TEST_CASE("a result may be followed up after the last sequence was given") {
  Served served([](const json&, httplib::Response& response) { answer(response, "a cat."); });
  int left = 1, results = 0;
  connect_endpoint(served.url(), {"some", 4, 30})
      ->generate(
          {},
          [&]() -> std::optional<Sequence> {
            return left-- > 0
                       ? std::optional(Sequence{0, {{"user", "a"}}, "", Random({1}), nullptr})
                       : std::nullopt;
          },
          [&](Generated) { left = ++results < 3 ? 1 : 0; }, {});
  CHECK(results == 3);
}

TEST_CASE("the key comes from the environment, is sent and not shown") {
  setenv("LONGHAND_API_KEY", "sk-secret", 1);
  Served served([](const json&, httplib::Response& response) { answer(response, "a cat."); });
  generate(*connect_endpoint(served.url(), {"some", 1, 30}), 1);
  CHECK(served.key() == "Bearer sk-secret");
  Served echoing([](const json&, httplib::Response& response) {
    response.status = 400;
    response.set_content("no good: sk-secret", "text/plain");
  });
  const Error error = failure(echoing.url());
  CHECK(error.kind() == Kind::invalid_argument);
  CHECK(says(error, "no good"));
  CHECK_FALSE(says(error, "sk-secret"));
  setenv("LONGHAND_API_KEY", "sk secret\n", 1);
  CHECK(says(failure(served.url()), "LONGHAND_API_KEY"));
  unsetenv("LONGHAND_API_KEY");
}

TEST_CASE("a server that takes no top_k is asked without it") {
  Served served([](const json& asked, httplib::Response& response) {
    if (asked.contains("top_k")) {
      response.status = 400;
      response.set_content(R"({"error": {"message": "Unrecognized request argument: top_k"}})",
                           "application/json");
    } else {
      answer(response, "<think>hm, a cat</think>a cat.");
    }
  });
  const auto texts = generate(*connect_endpoint(served.url(), {"some", 1, 30}), 3);
  CHECK(texts.at(2) == "a cat.");
  CHECK(served.asked().size() == 4);
}

TEST_CASE("a model that wants max_completion_tokens and samples in its own way") {
  const auto refuse = [](httplib::Response& response, const std::string& message) {
    response.status = 400;
    response.set_content(json{{"error", {{"message", message}}}}.dump(), "application/json");
  };
  Served served([&](const json& asked, httplib::Response& response) {
    if (asked.contains("max_tokens")) {
      refuse(response,
             "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
             "'max_completion_tokens' instead.");
    } else if (asked.contains("top_k")) {
      refuse(response, "Unrecognized request argument supplied: top_k");
    } else if (asked.contains("temperature")) {
      refuse(response,
             "Unsupported value: 'temperature' does not support 0.7 with this model. Only the "
             "default (1) value is supported.");
    } else {
      answer(response, "a cat.");
    }
  });
  const auto model = connect_endpoint(served.url(), {"some", 1, 30});
  CHECK(generate(*model, 3).at(2) == "a cat.");
  CHECK(served.asked().size() == 3 + 3);  // each lesson costs one request, and is remembered
  CHECK(generate(*model, 2).size() == 2);
  CHECK(served.asked().size() == 3 + 3 + 2);
  const json last = served.asked().back();
  CHECK(last["max_completion_tokens"] > 256);  // what it thinks counts too
  CHECK(last.contains("seed"));
}

TEST_CASE("a refusal that names a field for another reason is told") {
  Served served([](const json&, httplib::Response& response) {
    response.status = 400;
    response.set_content("temperature must be at most 0.5", "text/plain");
  });
  CHECK(says(failure(served.url()), "at most 0.5"));
  CHECK(served.asked().size() == 1);
}

TEST_CASE("addresses that are none") {
  for (const char* url :
       {"http://", "ftp://host/v1", "http://user:word@host/v1", "http://host:port:1/v1"}) {
    CHECK(failure(url).kind() == Kind::invalid_argument);
    CHECK_FALSE(says(failure(url), "word"));
  }
  CHECK(is_endpoint("https://host/v1"));
  CHECK_FALSE(is_endpoint("model.gguf"));
}

TEST_CASE("no server, a server that hangs up, one that hangs") {
  const Error none = failure("http://127.0.0.1:1/v1");
  CHECK(none.kind() == Kind::unavailable);
  CHECK(says(none, "http://127.0.0.1:1/v1"));
  CHECK(says(none, "is the server running?"));

  const Raw rude("");
  CHECK(failure(rude.url()).kind() == Kind::unavailable);
  CHECK(rude.connections() == 3);

  Served hanging([](const json&, httplib::Response& response) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1800));
    answer(response, "a cat.");
  });
  const auto begin = std::chrono::steady_clock::now();
  const Error late = failure(hanging.url(), {"some", 1, 1});
  CHECK(late.kind() == Kind::unavailable);
  CHECK(says(late, "--llm-timeout"));
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(1700));
}

TEST_CASE("https, where the certificate is trusted") {
  const Certificate certificate;
  httplib::SSLServer server([&](httplib::tls::ctx_t context) {
    auto* openssl = static_cast<SSL_CTX*>(context);
    return SSL_CTX_use_certificate(openssl, certificate.x509) == 1 &&
           SSL_CTX_use_PrivateKey(openssl, certificate.key) == 1;
  });
  server.Post("/v1/chat/completions", [](const httplib::Request&, httplib::Response& response) {
    answer(response, "a cat.");
  });
  const int port = server.bind_to_any_port("127.0.0.1");
  std::thread thread([&] { server.listen_after_bind(); });
  server.wait_until_ready();
  const std::string url = fmt::format("https://localhost:{}/v1", port);
  const Error error = failure(url);
  CHECK(error.kind() == Kind::unavailable);
  CHECK(says(error, "certificate"));

  const auto file =
      std::filesystem::temp_directory_path() / fmt::format("longhand-{}.pem", ::getpid());
  FILE* out = std::fopen(file.c_str(), "w");
  PEM_write_X509(out, certificate.x509);
  std::fclose(out);
  const char* set = std::getenv("SSL_CERT_FILE");
  const std::string before = set == nullptr ? "" : set;
  setenv("SSL_CERT_FILE", file.c_str(), 1);
  CHECK(generate(*connect_endpoint(url, {"some", 2, 30}), 3).size() == 3);
  before.empty() ? unsetenv("SSL_CERT_FILE") : setenv("SSL_CERT_FILE", before.c_str(), 1);
  std::filesystem::remove(file);
  server.stop();
  thread.join();
}

TEST_CASE("half an answer, garbage, too much, none") {
  const Raw half("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"choices\": [{\"mess");
  const Error cut = failure(half.url());
  CHECK(cut.kind() == Kind::corrupt);
  CHECK(says(cut, "{\"choices\": [{\"mess"));
  CHECK(half.connections() == 3);

  const auto content = [](const std::string& body) {
    return [body](const json&, httplib::Response& response) {
      response.set_content(body, "application/json");
    };
  };
  for (const char* body : {"<html>\x1b[31mnot\xff here\xc2\x9b</html>", "{}", R"({"choices": []})",
                           "[1, 2]", "", R"({"choices": [{"message": {}}]})"}) {
    Served served(content(body));
    const Error error = failure(served.url());
    CHECK(error.kind() == Kind::corrupt);
    CHECK_FALSE(says(error, "\x1b"));
    CHECK_FALSE(says(error, "\xc2\x9b"));
    CHECK_FALSE(says(error, "\xff"));
  }
  Served refusing(content(R"({"choices": [{"message": {"content": null, "refusal": "No."}}]})"));
  CHECK(generate(*connect_endpoint(refusing.url(), {"some", 1, 30}), 1).begin()->second.empty());
  Served flood(content(std::string(3 << 20, '[')));
  const Error error = failure(flood.url());
  CHECK(error.kind() == Kind::corrupt);
  CHECK(says(error, "1 MiB"));
  CHECK(std::string(error.what()).size() < 400);

  Served silent([](const json&, httplib::Response& response) { answer(response, ""); });
  CHECK(generate(*connect_endpoint(silent.url(), {"some", 1, 30}), 1).at(0).empty());
}

TEST_CASE("refusals") {
  const auto status = [](int code) {
    return [code](const json&, httplib::Response& response) { response.status = code; };
  };
  Served keyless(status(401));
  CHECK(failure(keyless.url()).kind() == Kind::invalid_argument);
  CHECK(says(failure(keyless.url()), "LONGHAND_API_KEY"));

  Served unknown(status(404));
  const Error error = failure(unknown.url());
  CHECK(error.kind() == Kind::not_found);
  CHECK(says(error, "first, second"));
  const Error elsewhere = failure(unknown.url(""));
  CHECK(elsewhere.kind() == Kind::not_found);
  CHECK(says(elsewhere, "/v1"));

  Served broken(status(500));
  CHECK(failure(broken.url()).kind() == Kind::unavailable);
  CHECK(broken.asked().size() == 3);
}

TEST_CASE("a server that is busy is asked again") {
  std::atomic<int> times{0};
  Served busy([&](const json&, httplib::Response& response) {
    if (times++ == 0) {
      response.status = 429;
      response.set_header("Retry-After", "1");
    } else {
      answer(response, "a cat.");
    }
  });
  const auto begin = std::chrono::steady_clock::now();
  CHECK(generate(*connect_endpoint(busy.url(), {"some", 1, 30}), 1).at(0) == "a cat.");
  CHECK(std::chrono::steady_clock::now() - begin > std::chrono::milliseconds(950));
}

TEST_CASE("an error on the caller's side ends the requests in flight") {
  Served slow([](const json& asked, httplib::Response& response) {
    const bool first = asked["messages"].back()["content"] == "prompt 0";
    std::this_thread::sleep_for(std::chrono::milliseconds(first ? 10 : 1000));
    answer(response, "a cat.");
  });
  const auto model = connect_endpoint(slow.url(), {"some", 4, 30});
  const auto begin = std::chrono::steady_clock::now();
  int given = 0;
  CHECK_THROWS_AS(
      model->generate(
          {},
          [&]() -> std::optional<Sequence> {
            return Sequence{
                given, {{"user", fmt::format("prompt {}", given++)}}, "", Random({1}), nullptr};
          },
          [](Generated) { fail(Kind::unavailable, "the disk is full"); }, {}),
      Error);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(700));
}
