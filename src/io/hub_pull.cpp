#include "io/hub_pull.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <set>
#include <thread>

#include "core/error.h"
#include "core/interrupt.h"
#include "core/log.h"
#include "core/progress.h"
#include "io/hub_client.h"
#include "io/hub_digest.h"
#include "io/hub_partial.h"

namespace longhand {
namespace {

constexpr std::size_t largest_model_index = 1 << 20;

/// One line for the bytes of all files, in megabytes, or in kilobytes where they are few.
class ByteProgress {
 public:
  ByteProgress(std::int64_t total, std::int64_t done)
      : unit_(total >= 100'000'000 ? 1'000'000 : 1000),
        bytes_(done),
        shown_(done / unit_),
        progress_("pulling", unit_ == 1000 ? "kB" : "MB", total / unit_, shown_) {}

  /// `bytes` more, or less where a file begins anew.
  void advance(std::int64_t bytes, const std::string& file) {
    const std::lock_guard lock(mutex_);
    bytes_ += bytes;
    const std::int64_t now = bytes_ / unit_;
    progress_.advance(now - shown_, file);
    shown_ = now;
  }

 private:
  std::mutex mutex_;
  std::int64_t unit_, bytes_, shown_;
  Progress progress_;
};

class Puller {
 public:
  Puller(const HubSettings& settings, const PullPlan& plan)
      : settings_(settings), plan_(plan), cache_(settings.cache, plan.repository) {}

  void run(int jobs) {
    missing_.clear();
    std::ranges::copy_if(plan_.files, std::back_inserter(missing_), [&](const HubFile& file) {
      return !fs::exists(cache_.snapshot(plan_.commit) / file.path);
    });
    if (missing_.empty()) {
      return;
    }
    make_folder(cache_.blob("x").parent_path());
    const auto [total, done] = bytes_to_come();
    check_space(total - done);
    ByteProgress progress(total, done);
    progress_ = &progress;
    std::vector<std::thread> threads;
    for (int i = 0; i < std::min<int>(jobs, static_cast<int>(missing_.size())); ++i) {
      threads.emplace_back([this] { work(); });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    if (failure_) {
      std::rethrow_exception(failure_);
    }
  }

 private:
  /// Of the missing blobs, each counted once: their bytes, and those that earlier runs left.
  std::pair<std::int64_t, std::int64_t> bytes_to_come() const {
    std::int64_t total = 0, done = 0;
    std::set<std::string> counted;
    for (const HubFile& file : missing_) {
      const bool known = file.size >= 0 && !file.etag.empty();
      if (known && counted.insert(file.etag).second && !fs::exists(cache_.blob(file.etag))) {
        total += file.size;
        done += std::min(file.size, PartialBlob::size_of(cache_.blob(file.etag)));
      }
    }
    return {total, done};
  }

  void check_space(std::int64_t needed) const {
    std::error_code code;
    const fs::space_info space = fs::space(settings_.cache, code);
    if (!code && needed > 0 && static_cast<std::uintmax_t>(needed) > space.available) {
      fail(
          Kind::unavailable,
          "{} has {} free and {} more are needed: free some space, or set HF_HUB_CACHE to a folder "
          "on a larger disk",
          settings_.cache.string(), human_bytes(static_cast<std::int64_t>(space.available)),
          human_bytes(needed));
    }
  }

  /// A thread's life: file after file, until there are none or one of the threads failed.
  void work() {
    try {
      HubClient client(settings_, plan_.repository, stopped_);
      for (std::size_t i; (i = next_++) < missing_.size() && !stopped_();) {
        fetch(client, missing_[i]);
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      failure_ = failure_ ? failure_ : std::current_exception();
      failed_ = true;
    }
  }

  void fetch(HubClient& client, HubFile file) {
    if (file.etag.empty() || file.size < 0) {
      retry(stopped_, [] { return 0; }, [&] { file = client.stated(plan_.commit, file.path); });
    }
    const fs::path blob = cache_.blob(file.etag);
    const FileLock lock(cache_.lock_file(file.etag), stopped_);
    if (!fs::exists(blob)) {
      download(client, file, blob);
    }
    cache_.link(plan_.commit, file.path, file.etag);
  }

  void download(HubClient& client, const HubFile& file, const fs::path& blob) {
    const bool resumed = PartialBlob::size_of(blob) > 0;
    if (transfer(client, file, blob)) {
      return;
    }
    if (resumed) {
      spdlog::warn("{}: what an earlier run left of it was damaged; beginning it anew", file.path);
      progress_->advance(-file.size, file.path);
      if (transfer(client, file, blob)) {
        return;
      }
    }
    fail(Kind::corrupt,
         "{} came with a wrong hash (expected {} {}) and was removed: run the same command again; "
         "if "
         "that does not help, the file on {} is damaged",
         file.path, file.etag.size() == 64 ? "SHA-256" : "git's SHA-1", file.etag,
         settings_.endpoint);
  }

  /// False when the hash of what came is wrong.
  bool transfer(HubClient& client, const HubFile& file, const fs::path& blob) {
    PartialBlob part(blob, file, stopped_);
    const auto begin = [&](std::int64_t offset) {
      if (offset < part.size()) {
        progress_->advance(-part.size(), file.path);
        part.restart();
      }
    };
    const auto take = [&](std::string_view piece) {
      part.append(piece);
      progress_->advance(static_cast<std::int64_t>(piece.size()), file.path);
    };
    try {
      retry(
          stopped_, [&] { return part.size(); },
          [&] {
            if (!part.whole()) {
              client.get(plan_.commit, file.path, part.size(), begin, take);
            }
            if (!part.whole()) {
              throw TransientError(fmt::format("{}: the connection ended after {} of {} bytes",
                                               file.path, part.size(), file.size));
            }
          });
    } catch (const TransientError& error) {
      fail(Kind::unavailable, "{}; {} of {} of {} are kept: run the same command again to go on",
           error.what(), human_bytes(part.size()), human_bytes(file.size), file.path);
    }
    return part.finish();
  }

  const HubSettings& settings_;
  const PullPlan& plan_;
  RepositoryCache cache_;
  std::vector<HubFile> missing_;
  ByteProgress* progress_ = nullptr;
  std::atomic<std::size_t> next_{0};
  std::atomic<bool> failed_{false};
  const std::function<bool()> stopped_ = [this] { return failed_ || interrupted(); };
  std::mutex mutex_;
  std::exception_ptr failure_;
};

}  // namespace

PullPlan plan_pull(const HubSettings& settings, const PullRequest& request) {
  const RepositoryCache cache(settings.cache, request.repository);  // refuses other names
  check_repository_path(request.revision);
  if (settings.offline) {
    fail(Kind::unavailable,
         "HF_HUB_OFFLINE is set, so that {} cannot be asked for {}; unset it to pull",
         settings.endpoint, request.repository);
  }
  HubClient client(settings, request.repository, interrupted);
  HubListing listing;
  nlohmann::json index;
  retry(
      interrupted, [] { return 0; },
      [&] {
        listing = client.list(request.revision);
        const bool diffusers = std::ranges::find(listing.files, "model_index.json",
                                                 &HubFile::path) != listing.files.end();
        if (diffusers) {
          index = nlohmann::json::parse(
              client.read(listing.commit, "model_index.json", largest_model_index), nullptr, false);
        }
      });
  if (!index.is_null() && !index.is_object()) {
    fail(Kind::corrupt, "{}: its model_index.json is no JSON object", request.repository);
  }
  Selection selection = select_files(listing.files, index, request.selection);
  return {request.repository, request.revision, listing.commit, std::move(selection.files),
          std::move(selection.notes)};
}

bool is_here(const HubSettings& settings, const PullPlan& plan, const HubFile& file) {
  const RepositoryCache cache(settings.cache, plan.repository);
  return fs::exists(cache.snapshot(plan.commit) / file.path) ||
         (!file.etag.empty() && fs::exists(cache.blob(file.etag)));
}

fs::path pull(const HubSettings& settings, const PullPlan& plan, int jobs) {
  Puller(settings, plan).run(jobs);
  throw_if_interrupted();
  const RepositoryCache cache(settings.cache, plan.repository);
  cache.name(plan.revision, plan.commit);
  return cache.snapshot(plan.commit);
}

fs::path pulled_before(const HubSettings& settings, const PullRequest& request) {
  const RepositoryCache cache(settings.cache, request.repository);
  const auto folder = cache.find(request.revision);
  const bool whole = folder && missing_component(*folder).empty() &&
                     std::ranges::all_of(request.selection.files, [&](const std::string& file) {
                       return fs::exists(*folder / file);
                     });
  if (!whole) {
    fail(
        Kind::unavailable,
        "HF_HUB_OFFLINE is set, and {} is not whole in {}; unset it and run the same command again",
        request.repository, settings.cache.string());
  }
  return *folder;
}

}  // namespace longhand
