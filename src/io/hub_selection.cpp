#include "io/hub_selection.h"

#include <fmt/ranges.h>
#include <fnmatch.h>

#include <algorithm>
#include <optional>
#include <regex>
#include <set>

#include "core/error.h"

namespace longhand {
namespace {

using Files = std::vector<HubFile>;

constexpr std::size_t most_listed = 20;

bool is_pickle(const std::string& path) {
  return std::ranges::any_of(std::vector<std::string>{".bin", ".ckpt", ".pt", ".pth", ".pkl"},
                             [&](const std::string& ending) { return path.ends_with(ending); });
}

/// "model.fp16-00001-of-00002.safetensors" and its index are of the variant "fp16",
/// "model.safetensors" is of "": the names that diffusers and transformers save under. nullopt for
/// a name of another kind.
std::optional<std::string> variant_of(const std::string& name) {
  static const std::regex weights(
      R"((?:diffusion_pytorch_model|model|pytorch_lora_weights)(?:-\d{5}-of-\d{5})?(?:\.(\w+))?(?:-\d{5}-of-\d{5})?\.safetensors)");
  static const std::regex index(
      R"((?:diffusion_pytorch_model|model)\.safetensors\.index(?:\.(\w+))?\.json)");
  std::smatch match;
  if (std::regex_match(name, match, weights) || std::regex_match(name, match, index)) {
    return match[1].str();
  }
  return std::nullopt;
}

/// Configs, tokenizer and scheduler files.
bool is_sidecar(const std::string& name) {
  return (name.ends_with(".json") && !name.ends_with(".index.json") && !variant_of(name)) ||
         name.ends_with(".txt") || name.ends_with(".model");
}

/// The files of a folder itself, "" for the root.
Files files_in(const Files& all, const std::string& folder) {
  const std::string prefix = folder.empty() ? "" : folder + "/";
  Files found;
  std::ranges::copy_if(all, std::back_inserter(found), [&](const HubFile& file) {
    return file.path.starts_with(prefix) && file.path.find('/', prefix.size()) == std::string::npos;
  });
  return found;
}

std::string base_name(const HubFile& file) { return file.path.substr(file.path.rfind('/') + 1); }

/// "\n  NAME  SIZE" for each, of many the first ones.
std::string listed(const Files& files) {
  std::string lines;
  for (std::size_t i = 0; i < std::min(files.size(), most_listed); ++i) {
    lines += fmt::format("\n  {}  {}", files[i].path, human_bytes(files[i].size));
  }
  if (files.size() > most_listed) {
    lines += fmt::format("\n  … and {} more", files.size() - most_listed);
  }
  return lines;
}

[[noreturn]] void fail_of_pickles(const std::string& where) {
  fail(Kind::invalid_argument,
       "{} has its weights only as pickles (.bin, .ckpt, .pt), which run code when they are read: "
       "longhand reads safetensors. Look for a revision or a repository with safetensors, or "
       "convert "
       "them: https://huggingface.co/docs/safetensors/convert-weights",
       where);
}

/// Takes the files that models need, folder by folder.
class Selector {
 public:
  Selector(const Files& all, const std::string& variant) : all_(all), variant_(variant) {}

  /// A folder's configs, and its weights of the variant.
  void take_folder(const std::string& folder) {
    const Files files = files_in(all_, folder);
    std::set<std::string> variants;
    for (const HubFile& file : files) {
      if (const auto variant = variant_of(base_name(file))) {
        variants.insert(*variant);
      }
    }
    const std::string chosen = choose(variants, folder);
    for (const HubFile& file : files) {
      const auto variant = variant_of(base_name(file));
      if (is_sidecar(base_name(file)) || (variant && *variant == chosen)) {
        result_.files.push_back(file);
      }
    }
    const auto pickle = [](const HubFile& file) {
      const std::string name = base_name(file);
      return is_pickle(name) &&
             (name.starts_with("diffusion_pytorch_model") || name.starts_with("pytorch_model"));
    };
    if (variants.empty() && std::ranges::any_of(files, pickle)) {
      fail_of_pickles(folder.empty() ? "the repository" : folder + "/");
    }
  }

  Selection finish() {
    if (!variant_.empty() && !variant_found_) {
      seen_.erase("");
      fail(Kind::not_found, "there are no weights of the variant \"{}\"; {}", variant_,
           seen_.empty() ? "there is none but the plain one"
                         : fmt::format("there are: {}", fmt::join(seen_, ", ")));
    }
    return std::move(result_);
  }

 private:
  /// The variant to take of those that a folder has.
  std::string choose(const std::set<std::string>& variants, const std::string& folder) {
    seen_.insert(variants.begin(), variants.end());
    variant_found_ = variant_found_ || variants.contains(variant_);
    const std::string other = variant_.empty() ? "fp16" : "";
    if (variants.contains(variant_) || !variants.contains(other)) {
      return variant_;
    }
    const auto said = [](const std::string& variant) {
      return variant.empty() ? "plain weights" : fmt::format("weights of the variant {}", variant);
    };
    result_.notes.push_back(fmt::format("{} has no {}: taking its {}",
                                        folder.empty() ? "the repository" : folder, said(variant_),
                                        said(other)));
    return other;
  }

  const Files& all_;
  const std::string& variant_;
  Selection result_;
  std::set<std::string> seen_;
  bool variant_found_ = false;
};

Selection select_components(const Files& all, const nlohmann::json& model_index,
                            const std::string& variant) {
  Selector selector(all, variant);
  bool root = false;
  for (const auto& [name, value] : model_index.items()) {
    if (!value.is_array() || value.size() != 2 || !value[1].is_string() ||
        name == "safety_checker") {
      continue;  // a setting, a component that is null, or one that painting does without
    }
    if (files_in(all, name).empty()) {
      root = true;  // diffusers looks for a component without a folder in the root
    } else {
      selector.take_folder(name);
    }
  }
  if (root) {
    selector.take_folder("");
  }
  Selection selection = selector.finish();
  if (!root) {
    std::ranges::copy_if(all, std::back_inserter(selection.files),
                         [](const HubFile& file) { return file.path == "model_index.json"; });
  }
  return selection;
}

/// A repository without model_index.json and without weights under the usual names.
Selection select_other(const Files& all) {
  const Files root = files_in(all, "");
  Selection selection;
  Files gguf;
  for (const HubFile& file : root) {
    if (file.path.ends_with(".safetensors") || is_sidecar(file.path)) {
      selection.files.push_back(file);
    }
  }
  std::ranges::copy_if(all, std::back_inserter(gguf),
                       [](const HubFile& file) { return file.path.ends_with(".gguf"); });
  if (std::ranges::any_of(selection.files, [](const HubFile& file) {
        return file.path.ends_with(".safetensors");
      })) {
    return selection;
  }
  if (gguf.size() == 1) {
    return {gguf, {}};
  }
  if (!gguf.empty()) {
    fail(Kind::invalid_argument,
         "there are several GGUF files; choose with --file NAME or --include \"*Q4_K_M*\":{}",
         listed(gguf));
  }
  if (std::ranges::any_of(all, [](const HubFile& file) { return is_pickle(file.path); })) {
    fail_of_pickles("the repository");
  }
  fail(Kind::invalid_argument,
       "there is no model in a layout that is known (model_index.json, safetensors in the root, "
       "GGUF); choose with --file NAME or --include PATTERN:{}",
       listed(all));
}

Selection select_by_name(const Files& all, const SelectionRequest& request) {
  Selection selection;
  for (const std::string& name : request.files) {
    if (is_pickle(name)) {
      fail_of_pickles(name);
    }
    const auto found = std::ranges::find(all, name, &HubFile::path);
    if (found == all.end()) {
      fail(Kind::not_found, "there is no file {}; there are:{}", name, listed(all));
    }
    selection.files.push_back(*found);
  }
  for (const std::string& pattern : request.include) {
    const std::size_t before = selection.files.size();
    std::ranges::copy_if(all, std::back_inserter(selection.files), [&](const HubFile& file) {
      return fnmatch(pattern.c_str(), file.path.c_str(), 0) == 0 && !is_pickle(file.path);
    });
    if (selection.files.size() == before) {
      fail(Kind::not_found, "no file matches {} (pickles are never taken); there are:{}", pattern,
           listed(all));
    }
  }
  return selection;
}

}  // namespace

Selection select_files(const Files& all, const nlohmann::json& model_index,
                       const SelectionRequest& request) {
  Selection selection;
  const Files root = files_in(all, "");
  if (!request.files.empty() || !request.include.empty()) {
    selection = select_by_name(all, request);
  } else if (!model_index.is_null()) {
    selection = select_components(all, model_index, request.variant);
  } else if (std::ranges::any_of(
                 root, [](const HubFile& file) { return variant_of(file.path).has_value(); })) {
    Selector selector(all, request.variant);
    selector.take_folder("");
    selection = selector.finish();
  } else {
    selection = select_other(all);
  }
  std::ranges::sort(selection.files, {}, &HubFile::path);
  const auto repeated = std::ranges::unique(selection.files, {}, &HubFile::path);
  selection.files.erase(repeated.begin(), repeated.end());
  return selection;
}

std::string human_bytes(std::int64_t bytes) {
  if (bytes < 0) {
    return "?";
  }
  double value = static_cast<double>(bytes);
  const char* unit = "B";
  for (const char* larger : {"kB", "MB", "GB", "TB"}) {
    if (value < 999.5) {
      break;
    }
    value /= 1000;
    unit = larger;
  }
  return fmt::format("{:.{}f} {}", value,
                     bytes < 1000 || value >= 99.95 ? 0
                     : value < 9.995                ? 2
                                                    : 1,
                     unit);
}

}  // namespace longhand
