#include "models/autoencoder.h"

#include <variant>

#include "core/error.h"
#include "models/autoencoder_kl.h"
#include "models/autoencoder_tiny.h"
#include "models/checkpoint_files.h"
#include "models/config.h"
#include "models/vq_model.h"

namespace longhand {
namespace {

using Settings = std::variant<AutoencoderKLConfig, AutoencoderTinyConfig, VQModelConfig>;

Settings settings_of(const nlohmann::json& config, const std::string& where) {
  const auto name = config_value<std::string>(config, "_class_name", "AutoencoderKL");
  if (name == "AutoencoderKL") {
    return AutoencoderKLConfig::from_json(config);
  }
  if (name == "AutoencoderTiny") {
    return AutoencoderTinyConfig::from_json(config);
  }
  if (name == "VQModel") {
    return VQModelConfig::from_json(config);
  }
  fail(Kind::corrupt,
       "{}: _class_name {} is not known; expected AutoencoderKL, AutoencoderTiny or VQModel", where,
       name);
}

struct Maker {
  using Made = std::unique_ptr<Autoencoder>;
  Weights& weights;

  Made operator()(const AutoencoderKLConfig& config) const {
    return std::make_unique<AutoencoderKL>(weights, config);
  }
  Made operator()(const AutoencoderTinyConfig& config) const {
    return std::make_unique<AutoencoderTiny>(weights, config);
  }
  Made operator()(const VQModelConfig& config) const {
    return std::make_unique<VQModel>(weights, config);
  }
};

}  // namespace

int autoencoder_factor(const nlohmann::json& config, const std::string& where) {
  return std::visit([](const auto& settings) { return settings.factor(); },
                    settings_of(config, where));
}

std::unique_ptr<Autoencoder> make_autoencoder(const nlohmann::json& config, Weights& weights,
                                              const std::string& where) {
  return std::visit(Maker{weights}, settings_of(config, where));
}

std::unique_ptr<Autoencoder> load_autoencoder(const fs::path& folder,
                                              const at::TensorOptions& placement) {
  Weights weights = Weights::mapped(weight_files(folder, "diffusion_pytorch_model"), placement);
  const fs::path config = folder / "config.json";
  return make_autoencoder(read_config(config), weights, config.string());
}

std::unique_ptr<Autoencoder> load_autoencoder(const Checkpoint& checkpoint,
                                              const std::string& component,
                                              const at::TensorOptions& placement) {
  Weights weights = checkpoint.weights(component, placement);
  return make_autoencoder(checkpoint.config(component), weights,
                          (checkpoint.configs() / component).string());
}

}  // namespace longhand
