#include "models/autoencoder.h"

#include "core/error.h"
#include "models/autoencoder_kl.h"
#include "models/autoencoder_tiny.h"
#include "models/config.h"
#include "models/vq_model.h"

namespace longhand {

std::unique_ptr<Autoencoder> load_autoencoder(const fs::path& folder, at::ScalarType dtype) {
  const nlohmann::json config = read_config(folder / "config.json");
  const auto name = config_value<std::string>(config, "_class_name", "AutoencoderKL");
  Weights weights = Weights::mapped({folder / "diffusion_pytorch_model.safetensors"}, dtype);
  if (name == "AutoencoderKL") {
    return std::make_unique<AutoencoderKL>(weights, AutoencoderKLConfig::from_json(config));
  }
  if (name == "AutoencoderTiny") {
    return std::make_unique<AutoencoderTiny>(weights, AutoencoderTinyConfig::from_json(config));
  }
  if (name == "VQModel") {
    return std::make_unique<VQModel>(weights, VQModelConfig::from_json(config));
  }
  fail(Kind::corrupt,
       "{}: _class_name {} is not known; expected AutoencoderKL, AutoencoderTiny or VQModel",
       (folder / "config.json").string(), name);
}

}  // namespace longhand
