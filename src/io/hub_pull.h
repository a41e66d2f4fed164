// A repository's files into the hub's shared cache folder: several at a time, resumed, checked.
#pragma once

#include <string>
#include <vector>

#include "io/hub_cache.h"
#include "io/hub_selection.h"
#include "io/hub_settings.h"

namespace longhand {

struct PullRequest {
  std::string repository;  // ORG/NAME
  std::string revision = "main";
  SelectionRequest selection;
};

/// What a pull will bring.
struct PullPlan {
  std::string repository, revision, commit;
  std::vector<HubFile> files;
  std::vector<std::string> notes;
};

/// Asks the hub and chooses files (select_files). Throws what HubClient and select_files do, and
/// unavailable when HF_HUB_OFFLINE is set.
PullPlan plan_pull(const HubSettings& settings, const PullRequest& request);

/// True when a file of the plan is in the cache.
bool is_here(const HubSettings& settings, const PullPlan& plan, const HubFile& file);

/// Brings the plan's files, `jobs` at a time, and returns the snapshot folder. What was broken off
/// before goes on where it stood (blobs/<etag>.incomplete); a file takes its place only when its
/// hash is the stated one; refs/<revision> is written when all are there. Throws unavailable when
/// the disk is too small or full or the connection stays cut, corrupt when a hash is wrong (the
/// file is removed), cancelled on a signal; run again, it goes on.
fs::path pull(const HubSettings& settings, const PullPlan& plan, int jobs);

/// Without asking the hub: the snapshot folder, where it has what the request names. Throws
/// unavailable.
fs::path pulled_before(const HubSettings& settings, const PullRequest& request);

}  // namespace longhand
