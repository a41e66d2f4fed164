#include "pipeline/autoencoders.h"

#include <algorithm>

#include "core/error.h"
#include "io/hub_catalogue.h"
#include "models/config.h"

namespace longhand {
namespace {

using Shared = std::shared_ptr<const Autoencoder>;

std::string class_of(const nlohmann::json& config) {
  return config_value<std::string>(config, "_class_name", "AutoencoderKL");
}

/// The configuration of what options.vae or else the model names.
nlohmann::json named_config(const Checkpoint& checkpoint, const std::string& component,
                            const ModelOptions& options) {
  return options.vae.empty() ? checkpoint.config(component)
                             : read_config(options.vae / "config.json");
}

/// The catalogue's name of the tiny autoencoder of the same latents; null where none is known.
const char* known_tiny(const nlohmann::json& config) {
  struct Row {
    double scaling_factor;  // of the latents that it was trained on
    const char* name;
  };
  static constexpr Row rows[] = {{0.18215, "taesd"}, {0.13025, "taesdxl"}};
  const double scaling = config_value(config, "scaling_factor", 0.18215);
  const auto row = std::ranges::find(rows, scaling, &Row::scaling_factor);
  const bool known = class_of(config) == "AutoencoderKL" &&
                     config_value(config, "latent_channels", 4) == 4 && row != std::end(rows);
  return known ? row->name : nullptr;
}

/// One that is itself tiny: AutoencoderTiny, or where no tiny one is known, blocks as narrow.
bool is_tiny(const nlohmann::json& config) {
  constexpr int narrow = 128;
  const auto widths = config_value(config, "block_out_channels", std::vector<int>{narrow + 1});
  return class_of(config) == "AutoencoderTiny" ||
         (class_of(config) == "AutoencoderKL" && known_tiny(config) == nullptr &&
          std::ranges::max(widths) <= narrow);
}

Shared load_tiny(const nlohmann::json& config, const at::TensorOptions& placement) {
  return load_autoencoder(resolve_model(tiny_autoencoder(config)), placement);
}

}  // namespace

std::string tiny_autoencoder(const nlohmann::json& config) {
  const char* name = known_tiny(config);
  if (name == nullptr) {
    fail(Kind::invalid_argument,
         "no tiny autoencoder is known for the latents of this model ({}, scaling_factor {}): "
         "Stable Diffusion 1 and 2 and SDXL have one. Leave `--vae tiny` and --preview out, or "
         "name a folder with an AutoencoderTiny to --vae",
         class_of(config), config_value(config, "scaling_factor", 0.18215));
  }
  return name;
}

Shared painting_autoencoder(const Checkpoint& checkpoint, const std::string& component,
                            const ModelOptions& options) {
  if (options.tiny_vae) {
    const nlohmann::json config = checkpoint.config(component);
    if (!is_tiny(config)) {
      return load_tiny(config, options.placement());
    }
  }
  return options.vae.empty() ? load_autoencoder(checkpoint, component, options.placement())
                             : load_autoencoder(options.vae, options.placement());
}

int painting_factor(const Checkpoint& checkpoint, const std::string& component,
                    const ModelOptions& options) {
  const fs::path folder = options.vae.empty() ? checkpoint.configs() / component : options.vae;
  return autoencoder_factor(named_config(checkpoint, component, options), folder.string());
}

Shared preview_autoencoder(const Checkpoint& checkpoint, const std::string& component,
                           const ModelOptions& options, const Shared& painting) {
  if (!options.previews) {
    return nullptr;
  }
  const nlohmann::json config = named_config(checkpoint, component, options);
  return options.tiny_vae || is_tiny(config) ? painting : load_tiny(config, options.placement());
}

at::Tensor decoded(const Shared& autoencoder, const at::Tensor& latents,
                   const at::TensorOptions& placement) {
  if (!autoencoder) {
    fail(Kind::internal, "previews are asked of a model that was loaded without them");
  }
  return autoencoder->pictures_of(latents.to(placement).contiguous(at::MemoryFormat::ChannelsLast));
}

}  // namespace longhand
