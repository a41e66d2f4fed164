// longhand models: what is known by a short name, and what of it is on this machine.
#include <fmt/ranges.h>

#include <algorithm>

#include "cli/command.h"
#include "cli/commands.h"
#include "io/hub_catalogue.h"
#include "io/hub_selection.h"

namespace longhand {
namespace {

constexpr const char* examples = R"(Examples:
  longhand models
  longhand models --json
  longhand pull sdxl && longhand draw "a red car" --model sdxl

Any other repository with a model of these kinds can be pulled and named as ORG/NAME. Sizes are of
the plain weights; --variant fp16 of `longhand pull` takes about half, where it is published.)";

/// "3.5 B", "135 M"; "-" where it is not stated.
std::string human_count(const std::optional<std::int64_t>& count) {
  if (!count) {
    return "-";
  }
  const double millions = static_cast<double>(*count) / 1e6;
  return millions >= 999.5  ? fmt::format("{:.1f} B", millions / 1000)
         : millions >= 9.95 ? fmt::format("{:.0f} M", millions)
                            : fmt::format("{:.1f} M", millions);
}

void print_table(const std::vector<CatalogueRow>& rows) {
  constexpr const char* layout = "{:<23} {:<4} {:>7} {:>8}  {:<48} {:<46} {}\n";
  fmt::print(fmt::runtime(layout), "name", "here", "params", "size", "does", "licence",
             "repository");
  for (const CatalogueRow& row : rows) {
    const std::string size = row.download_bytes ? human_bytes(*row.download_bytes) : "-";
    std::string where = row.path.empty() ? row.repository : "embedded";
    for (const std::string& other : row.with) {
      where += " + " + other;
    }
    fmt::print(fmt::runtime(layout), row.name, find_here(row) ? "yes" : "no",
               human_count(row.parameters), size, fmt::format("{}", fmt::join(row.does, ", ")),
               row.licence.empty() ? "-" : row.licence, where);
  }
}

void print_json(const std::vector<CatalogueRow>& rows) {
  nlohmann::json list = nlohmann::json::array();
  const auto or_null = [](const auto& value, bool set) {
    return set ? nlohmann::json(value) : nlohmann::json();
  };
  for (const CatalogueRow& row : rows) {
    const auto here = find_here(row);
    list.push_back({{"name", row.name},
                    {"repository", or_null(row.repository, !row.repository.empty())},
                    {"with", row.with},
                    {"file", or_null(row.file, !row.file.empty())},
                    {"does", row.does},
                    {"parameters", or_null(row.parameters.value_or(0), row.parameters.has_value())},
                    {"download_bytes",
                     or_null(row.download_bytes.value_or(0), row.download_bytes.has_value())},
                    {"licence", or_null(row.licence, !row.licence.empty())},
                    {"here", or_null(here.value_or("").string(), here.has_value())}});
  }
  fmt::print("{}\n", list.dump(2));
}

}  // namespace

std::function<int()> declare_models(CLI::App& app) {
  auto json = std::make_shared<bool>(false);
  app.add_flag("--json", *json, "as JSON; \"here\" is the folder or file, or null");
  app.footer(examples);
  return [json] {
    std::vector<CatalogueRow> rows = catalogue();
    std::ranges::for_each(rows, measure);
    (*json ? print_json : print_table)(rows);
    return 0;
  };
}

}  // namespace longhand
