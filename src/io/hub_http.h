// HTTP by libcurl, as much of it as the hub's protocol takes.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace longhand {

/// A failure that may pass when it is tried again: a cut connection, a server that is busy.
class TransientError : public Error {
 public:
  explicit TransientError(const std::string& message) : Error(Kind::unavailable, message) {}
};

struct HttpResponse {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case

  std::string header(const std::string& name) const;
  bool success() const { return status >= 200 && status < 300; }
  bool redirect() const { return status >= 300 && status < 400 && !header("location").empty(); }
};

/// One request at a time, on a connection that is kept. Redirects are answers like any other.
/// Proxies are those of the environment (https_proxy, no_proxy…), as is SSL_CERT_FILE.
class HttpClient {
 public:
  /// What a successful answer's body goes to, piece by piece, after its status and headers are in.
  using Body = std::function<void(const HttpResponse& answer, std::string_view piece)>;

  /// A request in flight ends with Error{cancelled} once stopped() is true.
  explicit HttpClient(std::function<bool()> stopped);

  /// headers: lines as in "Range: bytes=5-". Throw TransientError when the connection fails or
  /// nothing comes for half a minute, unavailable when the host cannot be named or trusted; and
  /// what `body` throws.
  HttpResponse head(const std::string& url, const std::vector<std::string>& headers);
  HttpResponse get(const std::string& url, const std::vector<std::string>& headers,
                   const Body& body);

 private:
  HttpResponse send(const std::string& url, const std::vector<std::string>& headers, bool head,
                    const Body& body);

  std::function<bool()> stopped_;
  std::shared_ptr<void> handle_;
};

/// `target` as a browser reads it on the page `url`; throws corrupt for what is no address.
std::string joined_url(const std::string& url, const std::string& target);

/// Scheme, host and port are the same.
bool same_origin(const std::string& a, const std::string& b);

/// Percent-encodes all but letters, digits and "-._~", and "/" where it is kept.
std::string quoted_url(std::string_view text, bool keep_slash);

/// Calls attempt() until it returns; after a TransientError again, with growing pauses, up to five
/// times in a row without a byte of progress. position: how many bytes are there.
void retry(const std::function<bool()>& stopped, const std::function<std::int64_t()>& position,
           const std::function<void()>& attempt);

}  // namespace longhand
