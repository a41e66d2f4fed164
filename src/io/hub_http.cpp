#include "io/hub_http.h"

#include <curl/curl.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <thread>

#include "core/interrupt.h"
#include "core/letters.h"
#include "core/log.h"
#include "core/version.h"

namespace longhand {
namespace {

constexpr long connect_seconds = 15;
constexpr long silent_seconds = 30;
constexpr int most_failures = 5;

/// What libcurl's callbacks of one request share.
struct Exchange {
  HttpResponse answer;
  const HttpClient::Body* body;
  const std::function<bool()>* stopped;
  std::exception_ptr failure;
};

std::size_t on_header(char* data, std::size_t, std::size_t count, void* user) {
  HttpResponse& answer = static_cast<Exchange*>(user)->answer;
  const std::string_view line(data, count);
  if (line.starts_with("HTTP/")) {
    answer = {};  // of the last answer, where a proxy's or an interim one came before
    const auto space = line.find(' ');
    answer.status = space == line.npos ? 0 : std::atoi(std::string(line.substr(space)).c_str());
    return count;
  }
  const auto colon = line.find(':');
  if (colon != line.npos) {
    const std::string name = lower(std::string(line.substr(0, colon)));
    const auto begin = line.find_first_not_of(" \t", colon + 1);
    const auto end = line.find_last_not_of(" \t\r\n");
    answer.headers[name] =
        begin == line.npos || end < begin ? "" : std::string(line.substr(begin, end - begin + 1));
  }
  return count;
}

std::size_t on_body(char* data, std::size_t, std::size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  try {
    if (exchange.answer.success()) {
      (*exchange.body)(exchange.answer, {data, count});
    }
  } catch (...) {  // no exception may pass through libcurl
    exchange.failure = std::current_exception();
    return CURL_WRITEFUNC_ERROR;
  }
  return count;
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return (*static_cast<Exchange*>(user)->stopped)() ? 1 : 0;
}

void set_up(CURL* curl, const std::string& url, bool head, Exchange& exchange) {
  curl_easy_reset(curl);  // options only: the connection is kept
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_NOBODY, head ? 1L : 0L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, connect_seconds);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, silent_seconds);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, (std::string("longhand/") + version).c_str());
  if (const char* authorities = std::getenv("SSL_CERT_FILE")) {
    curl_easy_setopt(curl, CURLOPT_CAINFO, authorities);
  }
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &exchange);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &exchange);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &exchange);
}

/// Failures that another attempt will not mend.
bool is_lasting(CURLcode code) {
  return code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY ||
         code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL ||
         code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE;
}

/// A part of an address, "" where it is no address.
std::string url_part(const std::string& url, CURLUPart part) {
  const std::shared_ptr<CURLU> parsed(curl_url(), curl_url_cleanup);
  char* text = nullptr;
  if (curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK ||
      curl_url_get(parsed.get(), part, &text, CURLU_DEFAULT_PORT) != CURLUE_OK) {
    return {};
  }
  const std::string result = lower(text);
  curl_free(text);
  return result;
}

void pause(const std::function<bool()>& stopped, std::chrono::milliseconds time) {
  constexpr std::chrono::milliseconds tick(50);
  for (; time > tick && !stopped(); time -= tick) {
    std::this_thread::sleep_for(tick);
  }
}

}  // namespace

std::string HttpResponse::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

HttpClient::HttpClient(std::function<bool()> stopped) : stopped_(std::move(stopped)) {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  handle_ = {curl_easy_init(), [](void* curl) { curl_easy_cleanup(curl); }};
  if (started != CURLE_OK || !handle_) {
    fail(Kind::internal, "libcurl cannot be started");
  }
}

HttpResponse HttpClient::head(const std::string& url, const std::vector<std::string>& headers) {
  return send(url, headers, true, {});
}

HttpResponse HttpClient::get(const std::string& url, const std::vector<std::string>& headers,
                             const Body& body) {
  return send(url, headers, false, body);
}

HttpResponse HttpClient::send(const std::string& url, const std::vector<std::string>& headers,
                              bool head, const Body& body) {
  Exchange exchange{{}, &body, &stopped_, nullptr};
  CURL* curl = handle_.get();
  set_up(curl, url, head, exchange);
  std::shared_ptr<curl_slist> lines;
  for (const std::string& line : headers) {
    curl_slist* longer = curl_slist_append(lines.get(), line.c_str());
    if (!lines) {
      lines = {longer, curl_slist_free_all};
    }
  }
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, lines.get());
  const CURLcode code = curl_easy_perform(curl);
  if (exchange.failure) {
    std::rethrow_exception(exchange.failure);
  }
  if (code == CURLE_ABORTED_BY_CALLBACK) {
    throw stopped_by_signal();
  }
  if (code != CURLE_OK) {
    const std::string message =
        fmt::format("the connection to {}:{} failed: {}", url_part(url, CURLUPART_HOST),
                    url_part(url, CURLUPART_PORT), curl_easy_strerror(code));
    if (is_lasting(code)) {
      fail(Kind::unavailable, "{}", message);
    }
    throw TransientError(message);
  }
  return std::move(exchange.answer);
}

std::string joined_url(const std::string& url, const std::string& target) {
  const std::shared_ptr<CURLU> parsed(curl_url(), curl_url_cleanup);
  char* text = nullptr;
  if (curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK ||
      curl_url_set(parsed.get(), CURLUPART_URL, target.c_str(), 0) != CURLUE_OK ||
      curl_url_get(parsed.get(), CURLUPART_URL, &text, 0) != CURLUE_OK) {
    fail(Kind::corrupt, "{} answers with a redirect to what is no address: {}", url, target);
  }
  std::string result(text);
  curl_free(text);
  return result;
}

bool same_origin(const std::string& a, const std::string& b) {
  return std::ranges::all_of(
      std::initializer_list<CURLUPart>{CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT},
      [&](CURLUPart part) {
        const std::string value = url_part(a, part);
        return !value.empty() && value == url_part(b, part);
      });
}

std::string quoted_url(std::string_view text, bool keep_slash) {
  std::string result;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~' || (c == '/' && keep_slash);
    result += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return result;
}

void retry(const std::function<bool()>& stopped, const std::function<std::int64_t()>& position,
           const std::function<void()>& attempt) {
  for (int failures = 0;;) {
    const std::int64_t before = position();
    try {
      return attempt();
    } catch (const TransientError& error) {
      failures = position() > before ? 1 : failures + 1;
      if (failures == most_failures || stopped()) {
        throw;
      }
      const std::chrono::milliseconds wait(500 << (failures - 1));
      spdlog::warn("{}; trying again in {} s", error.what(),
                   static_cast<double>(wait.count()) / 1000);
      pause(stopped, wait);
    }
  }
}

}  // namespace longhand
