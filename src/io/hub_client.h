// The hub's protocol as huggingface_hub's client speaks it: a listing of a revision, HEAD for where
// a file lies and what its hash is, GET with Range for the rest of it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "io/hub_http.h"
#include "io/hub_selection.h"
#include "io/hub_settings.h"

namespace longhand {

/// A repository at a revision.
struct HubListing {
  std::string commit;
  std::vector<HubFile> files;
};

/// Asks about one repository. The token is sent to the endpoint alone, never to a host that it
/// redirects to. All calls throw TransientError for what may pass; unavailable where access is
/// refused (401, 403: the message says how to get it) or the hub cannot be reached; not_found for
/// a repository, revision or file that is not there; corrupt for an answer that is no hub's.
class HubClient {
 public:
  /// settings must outlive the client. Requests end with cancelled once stopped() is true.
  HubClient(const HubSettings& settings, std::string repository, std::function<bool()> stopped);

  HubListing list(const std::string& revision);

  /// The whole of a small file.
  std::string read(const std::string& commit, const std::string& path, std::size_t limit);

  /// The size and the hash that the hub states now for a file.
  HubFile stated(const std::string& commit, const std::string& path);

  /// The bytes of a file from `offset` on go to take(). Before the first of them, begin() is told
  /// where they begin: at 0 when the server ignores Range.
  void get(const std::string& commit, const std::string& path, std::int64_t offset,
           const std::function<void(std::int64_t)>& begin,
           const std::function<void(std::string_view)>& take);

 private:
  struct Located {
    HubFile file;
    std::string url;
  };

  std::string file_url(const std::string& commit, const std::string& path) const;
  std::vector<std::string> headers_for(const std::string& url) const;
  HttpResponse follow(std::string url, std::vector<std::string> extra,
                      const HttpClient::Body& body);
  Located locate(const std::string& commit, const std::string& path);
  void check(const HttpResponse& answer, const std::string& url, const std::string& what) const;
  [[noreturn]] void fail_access(const HttpResponse& answer) const;

  const HubSettings& settings_;
  std::string repository_;
  HttpClient http_;
};

}  // namespace longhand
