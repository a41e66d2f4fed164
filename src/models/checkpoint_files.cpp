#include "models/checkpoint_files.h"

#include <algorithm>
#include <set>

#include "core/error.h"
#include "models/config.h"

namespace longhand {
namespace {

/// The shards of an index: {"weight_map": {"key": "file", …}}.
std::vector<fs::path> shards(const fs::path& index) {
  const nlohmann::json json = read_config(index);
  std::set<fs::path> files;
  for (const auto& [key, file] :
       config_value<std::map<std::string, std::string>>(json, "weight_map", {})) {
    const fs::path path = index.parent_path() / file;
    if (fs::path(file).filename() != file) {
      fail(Kind::corrupt, "{}: shard {} is not a file of the same folder", index.string(), file);
    }
    if (!fs::is_regular_file(path)) {
      fail(Kind::not_found, "{} names {}, which is missing; fetch it too", index.string(), file);
    }
    files.insert(path);
  }
  if (files.empty()) {
    fail(Kind::corrupt, "{}: expected a weight_map that names the shards", index.string());
  }
  return {files.begin(), files.end()};
}

}  // namespace

std::vector<fs::path> weight_files(const fs::path& folder, const std::string& stem) {
  for (const std::string variant : {"", ".fp16", ".bf16"}) {
    const fs::path whole = folder / (stem + variant + ".safetensors");
    if (fs::is_regular_file(whole)) {
      return {whole};
    }
    for (const std::string& name : {stem + ".safetensors.index" + variant + ".json",
                                    stem + variant + ".safetensors.index.json"}) {
      if (fs::is_regular_file(folder / name)) {
        return shards(folder / name);
      }
    }
  }
  std::error_code code;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, code)) {
    refuse_pickle(entry.path());
  }
  fail(Kind::not_found, "{} has neither {}.safetensors nor {}.safetensors.index.json",
       folder.string(), stem, stem);
}

void refuse_pickle(const fs::path& path) {
  const std::string extension = path.extension().string();
  if (extension == ".ckpt" || extension == ".bin" || extension == ".pt" || extension == ".pth") {
    const std::string from = path.string(),
                      to = fs::path(path).replace_extension(".safetensors").string();
    fail(Kind::invalid_argument,
         "{}: pickle checkpoints can run any code when they are opened, so they are refused; fetch "
         "the model as .safetensors, or convert it:\n  python3 -c \"import torch, "
         "safetensors.torch; t = torch.load('{}', map_location='cpu', weights_only=True); "
         "safetensors.torch.save_file({{k: v.clone().contiguous() for k, v in t.get('state_dict', "
         "t).items() if torch.is_tensor(v)}}, '{}')\"",
         from, from, to);
  }
}

}  // namespace longhand
