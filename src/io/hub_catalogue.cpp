#include "io/hub_catalogue.h"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/error.h"
#include "io/hub_cache.h"
#include "io/hub_settings.h"
#include "io/safetensors.h"

namespace longhand {
namespace {

CatalogueRow row_of(const nlohmann::json& json) {
  CatalogueRow row;
  row.name = json.at("name");
  row.repository = json.value("repository", "");
  row.with = json.value("with", row.with);
  row.file = json.value("file", "");
  row.path = json.value("path", "");
  row.does = json.at("does");
  row.licence = json.value("licence", "");
  if (json.contains("parameters")) {
    row.parameters = json["parameters"];
  }
  if (json.contains("download_bytes")) {
    row.download_bytes = json["download_bytes"];
  }
  return row;
}

/// The snapshot of a repository in the cache; nullopt where it is not there or not whole.
std::optional<fs::path> find_whole(const RepositoryAt& wanted) {
  const RepositoryCache cache(HubSettings::from_environment().cache, wanted.repository);
  const auto folder = cache.find(wanted.revision);
  return folder && missing_component(*folder).empty() ? folder : std::nullopt;
}

fs::path resolve_repository(const RepositoryAt& wanted, const std::string& typed) {
  if (const auto folder = find_whole(wanted)) {
    return *folder;
  }
  const RepositoryCache cache(HubSettings::from_environment().cache, wanted.repository);
  if (const auto folder = cache.find(wanted.revision)) {
    fail(Kind::not_found, "{} is not whole ({} lacks \"{}\"): `longhand pull {}` gets the rest",
         typed, folder->string(), missing_component(*folder), typed);
  }
  fail(Kind::not_found, "{} is not on this machine: `longhand pull {}` gets it", typed, typed);
}

}  // namespace

std::vector<CatalogueRow> catalogue() {
  const fs::path path = home() / "data" / "models.json";
  std::vector<CatalogueRow> rows;
  try {
    const auto json = nlohmann::json::parse(read_file(path));
    for (const auto& row : json.at("models")) {
      rows.push_back(row_of(row));
    }
  } catch (const nlohmann::json::exception& error) {
    fail(Kind::corrupt, "{}: {}", path.string(), error.what());
  }
  return rows;
}

void measure(CatalogueRow& row) {
  const fs::path folder = home() / row.path;
  if (row.path.empty() || !fs::is_directory(folder)) {
    return;
  }
  std::int64_t parameters = 0, bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) {
      continue;
    }
    bytes += static_cast<std::int64_t>(entry.file_size());
    if (entry.path().extension() == ".safetensors") {
      const Safetensors file(entry.path());
      for (const auto& [name, tensor] : file.tensors()) {
        parameters += std::accumulate(tensor.shape.begin(), tensor.shape.end(), std::int64_t{1},
                                      std::multiplies<>());
      }
    }
  }
  row.parameters = parameters;
  row.download_bytes = bytes;
}

std::optional<CatalogueRow> find_in_catalogue(const std::string& name) {
  const auto rows = catalogue();
  const auto found = std::ranges::find(rows, name, &CatalogueRow::name);
  return found == rows.end() ? std::nullopt : std::optional(*found);
}

RepositoryAt split_revision(const std::string& text) {
  const auto at = text.find('@');
  return at == std::string::npos ? RepositoryAt{text, "main"}
                                 : RepositoryAt{text.substr(0, at), text.substr(at + 1)};
}

std::optional<fs::path> find_here(const CatalogueRow& row) {
  if (!row.path.empty()) {
    const fs::path path = home() / row.path;
    return fs::exists(path) ? std::optional(path) : std::nullopt;
  }
  auto folder = find_whole({row.repository, "main"});
  const bool all = std::ranges::all_of(
      row.with, [](const std::string& other) { return find_whole({other, "main"}).has_value(); });
  if (!folder || !all || !fs::exists(*folder / row.file)) {
    return std::nullopt;
  }
  return row.file.empty() ? *folder : *folder / row.file;
}

fs::path resolve_model(const std::string& name_or_path) {
  if (name_or_path.empty()) {
    fail(Kind::invalid_argument,
         "the model's name is empty; `longhand models` lists what is known");
  }
  if (fs::exists(name_or_path)) {
    return name_or_path;
  }
  if (const auto row = find_in_catalogue(name_or_path)) {
    if (const auto here = find_here(*row)) {
      return *here;
    }
    if (row->path.empty()) {
      fail(Kind::not_found, "{} ({}) is not on this machine: `longhand pull {}` gets it", row->name,
           row->repository, row->name);
    }
    fail(Kind::not_found, "{} is not at {}: run setup/bootstrap, which brings it", row->name,
         (home() / row->path).string());
  }
  const RepositoryAt wanted = split_revision(name_or_path);
  if (is_repository_name(wanted.repository)) {
    return resolve_repository(wanted, name_or_path);
  }
  fail(Kind::not_found,
       "{} is no folder or file, no short name (`longhand models` lists those) and no repository "
       "(ORG/NAME)",
       name_or_path);
}

}  // namespace longhand
