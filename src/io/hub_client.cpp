#include "io/hub_client.h"

#include <algorithm>
#include <charconv>

#include "io/hub_cache.h"
#include "io/hub_digest.h"

namespace longhand {
namespace {

constexpr int most_redirects = 10;
constexpr std::size_t largest_listing = 64 << 20;

/// -1 for what is no number.
std::int64_t whole(std::string_view text) {
  std::int64_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? value : -1;
}

/// W/"abc" and "abc" → abc.
std::string plain_etag(std::string etag) {
  if (etag.starts_with("W/")) {
    etag.erase(0, 2);
  }
  std::erase(etag, '"');
  return etag;
}

HubFile listed_file(const nlohmann::json& entry) {
  HubFile file;
  file.path = entry.at("rfilename");
  if (entry.contains("size") && entry["size"].is_number_integer()) {
    file.size = entry["size"];
  }
  if (entry.contains("lfs") && entry["lfs"].is_object()) {
    file.etag = entry["lfs"].value("sha256", "");
    file.size = entry["lfs"].value("size", file.size);
  } else if (entry.contains("blobId") && entry["blobId"].is_string()) {
    file.etag = entry["blobId"];
  }
  if (!is_digest(file.etag)) {
    file.etag.clear();
  }
  return file;
}

/// What a server says in a header, fit to be printed.
std::string said(const HttpResponse& answer) {
  std::string text = answer.header("x-error-message").substr(0, 300);
  std::erase_if(text, [](unsigned char c) { return c < ' ' || c == 0x7f; });
  return text.empty() ? "" : fmt::format(" (it says: {})", text);
}

/// Collects a body of at most `limit` bytes.
HttpClient::Body into(std::string& text, std::size_t limit, const std::string& url) {
  return [&text, limit, url](const HttpResponse&, std::string_view piece) {
    if (text.size() + piece.size() > limit) {
      fail(Kind::corrupt, "{} is over {} bytes, the most that is read here", url, limit);
    }
    text += piece;
  };
}

}  // namespace

HubClient::HubClient(const HubSettings& settings, std::string repository,
                     std::function<bool()> stopped)
    : settings_(settings), repository_(std::move(repository)), http_(std::move(stopped)) {}

std::string HubClient::file_url(const std::string& commit, const std::string& path) const {
  return fmt::format("{}/{}/resolve/{}/{}", settings_.endpoint, repository_,
                     quoted_url(commit, false), quoted_url(path, true));
}

std::vector<std::string> HubClient::headers_for(const std::string& url) const {
  if (settings_.token.empty() || !same_origin(url, settings_.endpoint)) {
    return {};
  }
  return {"Authorization: Bearer " + settings_.token};
}

void HubClient::fail_access(const HttpResponse& answer) const {
  const std::string page = settings_.endpoint + "/" + repository_;
  const bool gated = answer.header("x-error-code") == "GatedRepo" || answer.status == 403;
  if (!gated && settings_.token.empty()) {
    fail(Kind::not_found,
         "{} is not on {}, or it is private or gated{}. Check the name; if the name is right, "
         "accept "
         "the licence on {} and set HF_TOKEN",
         repository_, settings_.endpoint, said(answer), page);
  }
  fail(Kind::unavailable,
       "access to {} is refused (HTTP {}){}: accept the licence on {}, and set HF_TOKEN to a token "
       "of "
       "the account that did ({})",
       repository_, answer.status, said(answer), page,
       settings_.token.empty() ? "no token is set" : "the token that is set does not suffice");
}

void HubClient::check(const HttpResponse& answer, const std::string& url,
                      const std::string& what) const {
  if (answer.success() || answer.redirect()) {
    return;
  }
  const std::string code = answer.header("x-error-code");
  if (answer.status == 408 || answer.status == 429 || answer.status >= 500) {
    throw TransientError(
        fmt::format("{} answers with HTTP {}{}", url, answer.status, said(answer)));
  }
  if (code == "RepoNotFound" && !settings_.token.empty()) {
    fail(Kind::not_found,
         "{} is not on {}, or the token that is set may not see it; check the name", repository_,
         settings_.endpoint);
  }
  if (answer.status == 401 || answer.status == 403 || code == "GatedRepo") {
    fail_access(answer);
  }
  if (answer.status == 404) {
    const std::string gone =
        code == "RevisionNotFound" || code == "EntryNotFound"
            ? fmt::format("{} has no {}", repository_, what)
            : fmt::format("{} is not on {}, or has no {}", repository_, settings_.endpoint, what);
    fail(Kind::not_found, "{}{}; check the name on {}/{}", gone, said(answer), settings_.endpoint,
         repository_);
  }
  fail(Kind::unavailable, "{} answers with HTTP {}{}", url, answer.status, said(answer));
}

HttpResponse HubClient::follow(std::string url, std::vector<std::string> extra,
                               const HttpClient::Body& body) {
  for (int i = 0; i < most_redirects; ++i) {
    std::vector<std::string> headers = headers_for(url);
    headers.insert(headers.end(), extra.begin(), extra.end());
    HttpResponse answer = http_.get(url, headers, body);
    if (!answer.redirect()) {
      return answer;
    }
    url = joined_url(url, answer.header("location"));
  }
  fail(Kind::unavailable, "{} redirects more than {} times", url, most_redirects);
}

HubListing HubClient::list(const std::string& revision) {
  const std::string url = fmt::format("{}/api/models/{}/revision/{}?blobs=true", settings_.endpoint,
                                      repository_, quoted_url(revision, false));
  std::string text;
  check(follow(url, {}, into(text, largest_listing, url)), url,
        fmt::format("revision \"{}\"", revision));
  HubListing listing;
  try {
    const auto json = nlohmann::json::parse(text);
    listing.commit = json.at("sha");
    for (const auto& entry : json.at("siblings")) {
      listing.files.push_back(listed_file(entry));
    }
  } catch (const nlohmann::json::exception& error) {
    fail(Kind::corrupt, "{} does not answer as the hub does ({}); is HF_ENDPOINT right?", url,
         error.what());
  }
  if (!is_commit(listing.commit)) {
    fail(Kind::corrupt, "{}: \"{}\" is no commit; expected 40 hexadecimal digits", url,
         listing.commit);
  }
  for (const HubFile& file : listing.files) {
    check_repository_path(file.path);
  }
  return listing;
}

std::string HubClient::read(const std::string& commit, const std::string& path, std::size_t limit) {
  const std::string url = file_url(commit, path);
  std::string text;
  check(follow(url, {}, into(text, limit, url)), url, path);
  return text;
}

HubClient::Located HubClient::locate(const std::string& commit, const std::string& path) {
  std::string url = file_url(commit, path);
  for (int i = 0; i < most_redirects; ++i) {
    const HttpResponse answer = http_.head(url, headers_for(url));
    check(answer, url, path);
    const std::string target = answer.redirect() ? joined_url(url, answer.header("location")) : url;
    const std::string linked = answer.header("x-linked-etag");
    if (answer.redirect() && linked.empty() && same_origin(target, url)) {
      url = target;  // a repository that has moved
      continue;
    }
    const std::string other = answer.header("x-repo-commit");
    if (other != commit) {
      fail(Kind::corrupt, "{} answers for the commit \"{}\", asked for {}; is HF_ENDPOINT a hub?",
           url, other, commit);
    }
    std::string size = answer.header("x-linked-size");
    if (size.empty() && !answer.redirect()) {
      size = answer.header("content-length");
    }
    return {{path, whole(size), plain_etag(linked.empty() ? answer.header("etag") : linked)},
            target};
  }
  fail(Kind::unavailable, "{} redirects more than {} times", url, most_redirects);
}

HubFile HubClient::stated(const std::string& commit, const std::string& path) {
  HubFile file = locate(commit, path).file;
  if (!is_digest(file.etag) || file.size < 0) {
    fail(Kind::corrupt,
         "{}: the hub states neither a SHA-256 nor git's SHA-1 with a size (ETag \"{}\"), so that "
         "the "
         "file could not be checked",
         file_url(commit, path), file.etag);
  }
  return file;
}

void HubClient::get(const std::string& commit, const std::string& path, std::int64_t offset,
                    const std::function<void(std::int64_t)>& begin,
                    const std::function<void(std::string_view)>& take) {
  const std::string url = locate(commit, path).url;
  std::vector<std::string> range;
  if (offset > 0) {
    range.push_back(fmt::format("Range: bytes={}-", offset));
  }
  bool begun = false;
  const HttpResponse answer =
      follow(url, range, [&](const HttpResponse& head, std::string_view piece) {
        if (!begun) {
          const std::string stated = head.header("content-range");  // "bytes 5-9/10"
          const auto start = stated.find(' ') + 1;
          const std::int64_t from =
              head.status == 206 ? whole(stated.substr(start, stated.find('-') - start)) : 0;
          if (from != offset && from != 0) {
            fail(Kind::corrupt, "{}: asked for the bytes from {} on, got \"{}\"", url, offset,
                 stated);
          }
          begin(from);
          begun = true;
        }
        take(piece);
      });
  if (answer.status == 416) {
    begin(0);
    throw TransientError(fmt::format("{} has no bytes from {} on", url, offset));
  }
  check(answer, url, path);
}

}  // namespace longhand
