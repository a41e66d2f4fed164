// Every network asks for the tensors that the published model has, by name and shape: the lists in
// tests/keys were made by diffusers and transformers from the configs in data/models.
#include "models/autoencoder_kl.h"
#include "models/autoencoder_tiny.h"
#include "models/clip_model.h"
#include "models/clip_text.h"
#include "models/clip_vision.h"
#include "models/config.h"
#include "models/image_normalizer.h"
#include "models/prior_transformer.h"
#include "models/unclip_text_proj.h"
#include "models/unet_2d.h"
#include "models/unet_2d_condition.h"
#include "models/vq_model.h"
#include "support.h"

using namespace longhand;

namespace {

template <class Model, class Config>
void build(Weights& weights, const nlohmann::json& config) {
  Model(weights, Config::from_json(config));
}

const std::map<std::string, void (*)(Weights&, const nlohmann::json&)> classes = {
    {"AutoencoderKL", build<AutoencoderKL, AutoencoderKLConfig>},
    {"AutoencoderTiny", build<AutoencoderTiny, AutoencoderTinyConfig>},
    {"CLIPModel", build<CLIPModel, CLIPConfig>},
    {"CLIPTextModel", build<CLIPTextModel, CLIPTextConfig>},
    {"CLIPTextModelWithProjection", build<CLIPTextModel, CLIPTextConfig>},
    {"CLIPVisionModelWithProjection", build<CLIPVisionModelWithProjection, CLIPVisionConfig>},
    {"PriorTransformer", build<PriorTransformer, PriorTransformerConfig>},
    {"StableUnCLIPImageNormalizer",
     build<StableUnCLIPImageNormalizer, StableUnCLIPImageNormalizerConfig>},
    {"UNet2DConditionModel", build<UNet2DConditionModel, UNet2DConditionConfig>},
    {"UNet2DModel", build<UNet2DModel, UNet2DConfig>},
    {"UnCLIPTextProjModel", build<UnCLIPTextProjModel, UnCLIPTextProjConfig>},
    {"VQModel", build<VQModel, VQModelConfig>},
};

/// Lists that no network here is built from: the safety checker, and LCM's LoRA.
const std::set<std::string> others = {"stable-diffusion-v1-5.safety_checker",
                                      "lcm-lora-sdxl.unet_lora_PREDICTED"};

/// "MODEL.COMPONENT" → its config; a model of one component has it in its own folder.
nlohmann::json config_of(const std::string& list) {
  const std::size_t dot = list.rfind('.');
  const fs::path folder = home() / "data" / "models" / list.substr(0, dot);
  const fs::path own = folder / list.substr(dot + 1) / "config.json";
  return read_config(fs::exists(own) ? own : folder / "config.json");
}

}  // namespace

TEST_CASE("networks ask for the keys of the published models") {
  int count = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(LONGHAND_TESTS "/keys")) {
    const std::string list = entry.path().stem().stem().string();  // without .txt.gz
    if (entry.is_directory() || others.contains(list)) {
      continue;
    }
    CAPTURE(list);
    const nlohmann::json config = config_of(list);
    const std::string name =
        config.contains("_class_name") ? config["_class_name"] : config.at("architectures").at(0);
    REQUIRE_MESSAGE(classes.contains(name), name);
    auto weights = Weights::shapes();
    classes.at(name)(weights, config);
    CHECK(difference(shapes_of(weights.parameters()), shapes_in(entry.path())) == "");
    ++count;
  }
  CHECK(count == 48);
}
