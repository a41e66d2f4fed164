#include "models/lora.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <regex>

#include "core/error.h"
#include "io/safetensors.h"
#include "models/checkpoint_files.h"
#include "models/checkpoint_layouts.h"
#include "models/config.h"

namespace longhand {
namespace {

std::string underscored(std::string name) {
  std::ranges::replace(name, '.', '_');
  return name;
}

/// Takes `prefix` off; false where the text does not begin with it.
bool strip(std::string& text, const std::string& prefix) {
  const bool found = text.starts_with(prefix);
  text.erase(0, found ? prefix.size() : 0);
  return found;
}

/// The component that a key's first part names, which is taken off; the UNet where it names none.
std::string take_component(std::string& name) {
  static const std::vector<std::pair<const char*, const char*>> prefixes = {
      {"unet.", "unet"},
      {"text_encoder.", "text_encoder"},
      {"text_encoder_2.", "text_encoder_2"},
      {"lora_unet_", "unet"},
      {"lora_te_", "text_encoder"},
      {"lora_te1_", "text_encoder"},
      {"lora_te2_", "text_encoder_2"},
  };
  strip(name, "base_model.model.");
  for (const auto& [prefix, component] : prefixes) {
    if (strip(name, prefix)) {
      strip(name, "base_model.model.");
      return component;
    }
  }
  return name.starts_with("text_model") ? "text_encoder" : "unet";
}

/// Attention processors of early diffusers are named by what they replace.
std::string module_name(const std::string& dotted, bool text) {
  static const std::regex processor(R"(\.processor$|\.processor(?=\.))"),
      attention(R"(\.to_([qkv])$)"), output(R"(\.to_out$)");
  std::string name = std::regex_replace(dotted, processor, "");
  name = std::regex_replace(name, output, text ? ".out_proj" : ".to_out.0");
  return underscored(text ? std::regex_replace(name, attention, ".$1_proj") : name);
}

/// Finds weights by their modules' names with underscores for dots.
class Modules {
 public:
  explicit Modules(const TensorMap& stored) {
    static const std::regex resnet(R"(down_blocks\.0\.resnets\.\d+\.conv1\.weight)");
    int layers = 0;
    for (const auto& [name, tensor] : stored) {
      if (name.ends_with(".weight") && tensor.dim() > 1) {
        names_[underscored(name.substr(0, name.size() - 7))] = name;
      }
      layers += std::regex_match(name, resnet) ? 1 : 0;
    }
    layers_per_block_ = std::max(layers, 1);
  }

  /// The weight's name, "" where there is none. kohya's scripts number SDXL's blocks as the
  /// original does; text encoders have "text_model." before their names or not.
  std::string weight(const std::string& module) const {
    for (const std::string& name :
         {module, underscored(original_unet_name(module, layers_per_block_)),
          "text_model_" + module, module.starts_with("text_model_") ? module.substr(11) : module}) {
      if (const auto found = names_.find(name); found != names_.end()) {
        return found->second;
      }
    }
    return "";
  }

 private:
  std::map<std::string, std::string> names_;
  int layers_per_block_ = 2;
};

fs::path file_of(const fs::path& path) {
  if (!fs::is_directory(path)) {
    return path;
  }
  for (const char* name : {"pytorch_lora_weights.safetensors", "adapter_model.safetensors"}) {
    if (fs::is_regular_file(path / name)) {
      return path / name;
    }
  }
  std::error_code code;
  for (const fs::directory_entry& entry : fs::directory_iterator(path, code)) {
    refuse_pickle(entry.path());
  }
  fail(Kind::not_found,
       "{} has neither pytorch_lora_weights.safetensors nor adapter_model.safetensors; name the "
       "LoRA's file",
       path.string());
}

/// PEFT's configuration of each component: in the file's metadata as diffusers writes it
/// ("unet.lora_alpha": …), or in adapter_config.json beside a file that PEFT or diffusers named.
std::map<std::string, nlohmann::json> settings_of(const fs::path& file) {
  std::map<std::string, nlohmann::json> settings;
  const Safetensors header(file);
  if (const auto found = header.metadata().find("lora_adapter_metadata");
      found != header.metadata().end()) {
    const nlohmann::json all = nlohmann::json::parse(found->second, nullptr, false);
    if (!all.is_object()) {
      fail(Kind::corrupt, "{}: its metadata lora_adapter_metadata is no JSON object",
           file.string());
    }
    for (const auto& [key, value] : all.items()) {
      std::string field = key;
      const std::string component = take_component(field);
      settings[component][field] = value;
    }
  }
  const fs::path config = file.parent_path() / "adapter_config.json";
  const bool named = file.stem() == "adapter_model" || file.stem() == "pytorch_lora_weights";
  if (settings.empty() && named && fs::is_regular_file(config)) {
    for (const char* component : {"unet", "text_encoder", "text_encoder_2"}) {
      settings[component] = read_config(config);
    }
  }
  return settings;
}

std::string list(std::vector<std::string> names) {
  const std::size_t count = names.size();
  names.resize(std::min<std::size_t>(count, 8));
  return fmt::format("{}{}", fmt::join(names, ", "), count > names.size() ? ", …" : "");
}

}  // namespace

std::optional<LoraKey> LoraKey::parse(const std::string& key) {
  static const std::regex factor(
      R"((.+?)(?:_lora\.|\.lora_linear_layer\.|\.lora[._])(down|up|mid|A|B)(?:\.default)?\.weight)");
  static const std::regex alpha(R"((.+?)(?:_lora|\.lora|\.lora_linear_layer)?\.(alpha))");
  std::smatch match;
  if (!std::regex_match(key, match, factor) && !std::regex_match(key, match, alpha)) {
    return std::nullopt;
  }
  LoraKey parsed;
  std::string name = match[1];
  parsed.component = take_component(name);
  parsed.module = module_name(name, parsed.component != "unet");
  parsed.part = match[2] == "A" ? "down" : match[2] == "B" ? "up" : match[2].str();
  return parsed;
}

Lora Lora::load(const fs::path& path, double weight) {
  refuse_pickle(path);
  Lora lora;
  lora.path_ = file_of(path);
  lora.settings_ = settings_of(lora.path_);
  std::map<std::pair<std::string, std::string>, Module> modules;
  std::vector<std::string> unknown;
  for (const auto& [key, tensor] : load_tensors(lora.path_)) {
    const std::optional<LoraKey> parsed = LoraKey::parse(key);
    if (!parsed || (parsed->part == "alpha" && tensor.numel() != 1)) {
      unknown.push_back(key);
      continue;
    }
    Module& module = modules[{parsed->component, parsed->module}];
    if (parsed->part == "alpha") {
      module.alpha = tensor.to(at::kDouble).item<double>();
    } else {
      (parsed->part == "up"     ? module.delta.up
       : parsed->part == "down" ? module.delta.down
                                : module.delta.mid) = tensor;
    }
  }
  if (!unknown.empty()) {
    fail(Kind::corrupt,
         "{} has {} keys that are no LoRA's: {}\n  LoRA and LoCon can be added; DoRA, LoHa, LoKr "
         "and others cannot",
         lora.path_.string(), unknown.size(), list(unknown));
  }
  for (auto& [key, module] : modules) {
    std::tie(module.component, module.name) = key;
    if (!module.delta.up.defined() || !module.delta.down.defined()) {
      fail(Kind::corrupt, "{}: {} {} lacks its up or its down matrix", lora.path_.string(),
           module.component, module.name);
    }
    module.delta.scale = weight;
    lora.modules_.push_back(std::move(module));
  }
  if (lora.modules_.empty()) {
    fail(Kind::corrupt, "{} has no tensors; expected a LoRA", lora.path_.string());
  }
  return lora;
}

/// alpha / rank (alpha / √rank where PEFT's use_rslora says so); alpha is the rank where it is not
/// given. `path` is the module's name with dots, which PEFT's alpha_pattern matches the end of.
double Lora::scale_of(const Module& module, const std::string& path) const {
  const auto rank = static_cast<double>(module.delta.down.size(0));
  const auto found = settings_.find(module.component);
  const nlohmann::json settings = found == settings_.end() ? nlohmann::json() : found->second;
  if (config_value(settings, "use_dora", false)) {
    fail(Kind::corrupt, "{} is a DoRA, which cannot be added", path_.string());
  }
  double alpha = config_value(settings, "lora_alpha", rank);
  for (const auto& [pattern, value] :
       config_value<std::map<std::string, double>>(settings, "alpha_pattern", {})) {
    try {
      alpha = std::regex_match(path, std::regex("(.*\\.)?(" + pattern + ")")) ? value : alpha;
    } catch (const std::regex_error&) {
      fail(Kind::corrupt, "{}: alpha_pattern {} is no regular expression", path_.string(), pattern);
    }
  }
  alpha = module.alpha.value_or(alpha);
  return module.delta.scale * alpha /
         (config_value(settings, "use_rslora", false) ? std::sqrt(rank) : rank);
}

void Lora::add_to(const std::map<std::string, Weights*>& components) const {
  std::map<std::string, Modules> known;
  for (const auto& [component, weights] : components) {
    known.emplace(component, weights->stored());
  }
  std::vector<std::string> homeless;
  for (const Module& module : modules_) {
    const auto place = known.find(module.component);
    const std::string name = place == known.end() ? "" : place->second.weight(module.name);
    Weights* weights = place == known.end() ? nullptr : components.at(module.component);
    if (name.empty() || !module.delta.fits(weights->stored().at(name).sizes())) {
      homeless.push_back(module.component + "." + (name.empty() ? module.name : name));
      continue;
    }
    LowRank delta = module.delta;
    delta.scale = scale_of(module, name.substr(0, name.rfind('.')));
    weights->add(name, std::move(delta));
  }
  if (!homeless.empty()) {
    fail(Kind::corrupt,
         "{} does not fit this model: {} of its {} modules have no weight here, or one of another "
         "shape: {}\n  it was made for another model",
         path_.string(), homeless.size(), modules_.size(), list(homeless));
  }
}

}  // namespace longhand
