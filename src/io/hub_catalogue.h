// The models that are known by a short name (data/models.json), and a model's name → where it lies.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/files.h"

namespace longhand {

/// A row of data/models.json. Sizes are of the plain weights (float32 where they are published so).
struct CatalogueRow {
  std::string name;
  std::string repository;         // ORG/NAME
  std::vector<std::string> with;  // repositories that it needs besides
  std::string file;               // the one file to take of the repository, "" for a whole model
  std::string path;               // embedded: where it lies in the project's folder
  std::vector<std::string> does;  // "text to image", "vary", …
  std::optional<std::int64_t> parameters, download_bytes;
  std::string licence;  // "" where the model's page states none
};

/// Throws corrupt when data/models.json is.
std::vector<CatalogueRow> catalogue();

/// Gives an embedded model's row the sizes of its files. Throws corrupt, naming the file.
void measure(CatalogueRow& row);

std::optional<CatalogueRow> find_in_catalogue(const std::string& name);

/// "ORG/NAME@REVISION", or without "@REVISION": then of "main".
struct RepositoryAt {
  std::string repository, revision;
};
RepositoryAt split_revision(const std::string& text);

/// Where a row's model (with all that it needs) lies on this machine; nullopt when it does not.
std::optional<fs::path> find_here(const CatalogueRow& row);

/// A model's name → its folder or file. Nothing is asked of the hub. In this order:
///   an existing folder or file                itself
///   a short name of the catalogue ("sdxl")    its repository's snapshot, or its embedded folder
///   ORG/NAME, or ORG/NAME@REVISION            its snapshot folder in the hub's shared cache
/// Throws not_found, with the `longhand pull` that gets what is not there.
fs::path resolve_model(const std::string& name_or_path);

}  // namespace longhand
