// longhand pull MODEL: a repository's files into the hub's shared cache folder.
#include "cli/command.h"
#include "cli/commands.h"
#include "core/log.h"
#include "io/hub_catalogue.h"
#include "io/hub_pull.h"

namespace longhand {
namespace {

constexpr const char* examples = R"(Examples:
  longhand pull sdxl                                        # a short name: longhand models lists them
  longhand pull stabilityai/sdxl-turbo --variant fp16       # half the size
  longhand pull TheBloke/zephyr-7B-beta-GGUF --include "*Q4_K_M*"
  longhand pull latent-consistency/lcm-lora-sdxl --dry-run
  longhand pull ORG/NAME --revision refs/pr/1               # a branch, a tag or a commit

Files lie in the folder that all programs of Hugging Face share (HF_HUB_CACHE, or hub/ of HF_HOME):
what they downloaded is not downloaded again. Broken off, the same command goes on where it stood.
Repositories with a licence to accept: accept it on the model's page and set HF_TOKEN.
HF_ENDPOINT names another hub; with HF_HUB_OFFLINE=1 nothing is asked of any. Printed at the end is
the model's folder, or of a single GGUF file its path.)";

struct Arguments {
  PullRequest request;
  std::string model, revision;
  int jobs = 4;
  bool dry_run = false;
};

/// The requests that a model's name stands for: a short name's repositories, or the one named.
std::vector<PullRequest> requests_of(const Arguments& arguments) {
  PullRequest request = arguments.request;
  const auto row = find_in_catalogue(arguments.model);
  if (row && row->repository.empty()) {
    fail(Kind::invalid_argument, "{} is embedded: there is nothing to pull", row->name);
  }
  const RepositoryAt named =
      row ? RepositoryAt{row->repository, "main"} : split_revision(arguments.model);
  request.repository = named.repository;
  request.revision = arguments.revision.empty() ? named.revision : arguments.revision;
  if (!is_repository_name(request.repository)) {
    fail(Kind::invalid_argument,
         "{} is no short name (`longhand models` lists those) and no repository (ORG/NAME)",
         arguments.model);
  }
  const SelectionRequest& selection = request.selection;
  const bool chosen = !selection.files.empty() || !selection.include.empty();
  std::vector<PullRequest> requests = {request};
  if (row && !chosen) {
    if (!row->file.empty()) {
      requests[0].selection.files = {row->file};
    }
    for (const std::string& other : row->with) {
      requests.push_back({other, "main", selection});
    }
  }
  return requests;
}

void print_plan(const HubSettings& settings, const PullPlan& plan) {
  fmt::print("{} at {} ({})\n", plan.repository, plan.revision, plan.commit);
  std::int64_t total = 0, missing = 0;
  for (const HubFile& file : plan.files) {
    const bool here = is_here(settings, plan, file);
    fmt::print("  {:>8}  {}{}\n", human_bytes(file.size), file.path, here ? "  (here)" : "");
    total += std::max<std::int64_t>(file.size, 0);
    missing += here ? 0 : std::max<std::int64_t>(file.size, 0);
  }
  fmt::print("{} files, {}; to download: {}\n", plan.files.size(), human_bytes(total),
             human_bytes(missing));
}

/// What to name to the other verbs: the folder, or the only file of a GGUF repository.
fs::path result_of(const fs::path& folder, const std::vector<std::string>& paths) {
  return paths.size() == 1 && paths[0].ends_with(".gguf") ? folder / paths[0] : folder;
}

int pull_model(const Arguments& arguments) {
  const HubSettings settings = HubSettings::from_environment();
  for (const PullRequest& request : requests_of(arguments)) {
    if (settings.offline && !arguments.dry_run) {
      const fs::path folder = pulled_before(settings, request);
      spdlog::warn("HF_HUB_OFFLINE is set: taking what is here, without asking for news");
      fmt::print("{}\n", result_of(folder, request.selection.files).string());
      continue;
    }
    const PullPlan plan = plan_pull(settings, request);
    for (const std::string& note : plan.notes) {
      spdlog::warn("{}: {}", plan.repository, note);
    }
    if (arguments.dry_run) {
      print_plan(settings, plan);
      continue;
    }
    const fs::path folder = pull(settings, plan, arguments.jobs);
    std::vector<std::string> paths;
    std::ranges::transform(plan.files, std::back_inserter(paths), &HubFile::path);
    fmt::print("{}\n", result_of(folder, paths).string());
  }
  return 0;
}

}  // namespace

std::function<int()> declare_pull(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  SelectionRequest& selection = arguments->request.selection;
  app.add_option("model", arguments->model, "ORG/NAME, or a short name")->required();
  app.add_option("--revision", arguments->revision, "a branch, a tag or a commit (default: main)");
  app.add_option("--variant", selection.variant,
                 "weights of this variant, such as fp16 (default: those without one)");
  app.add_option("--file", selection.files, "this file alone; may be given several times")
      ->allow_extra_args(false);
  app.add_option("--include", selection.include,
                 "files that match alone, as in \"*Q4_K_M*\"; may be given several times")
      ->allow_extra_args(false);
  app.add_option("--jobs", arguments->jobs, "files at a time")
      ->check(CLI::Range(1, 16))
      ->capture_default_str();
  app.add_flag("--dry-run", arguments->dry_run, "list files and sizes, download nothing");
  app.footer(examples);
  return [arguments] { return pull_model(*arguments); };
}

}  // namespace longhand
