#include "pipeline/diffusion_model.h"

#include <algorithm>

#include "core/error.h"
#include "models/config.h"
#include "models/lora.h"
#include "pipeline/ddpm.h"
#include "pipeline/kandinsky.h"
#include "pipeline/karlo.h"
#include "pipeline/memory.h"
#include "pipeline/stable_diffusion.h"

namespace longhand {
namespace {

constexpr int largest_side = 4096;

using Loader = std::unique_ptr<DiffusionModel> (*)(const Checkpoint&, const ModelOptions&);

template <class Family>
std::unique_ptr<DiffusionModel> load(const Checkpoint& checkpoint, const ModelOptions& options) {
  if (options.size) {
    Family::paintable_sizes(checkpoint, options).require(*options.size);
  }
  return std::make_unique<Family>(checkpoint, options);
}

const std::map<std::string, Loader>& families() {
  static const std::map<std::string, Loader> table = {
      {"StableDiffusionPipeline", load<StableDiffusion>},
      {"StableDiffusionImg2ImgPipeline", load<StableDiffusion>},
      {"LatentConsistencyModelPipeline", load<StableDiffusion>},
      {"StableDiffusionXLPipeline", load<StableDiffusion>},
      {"StableDiffusionXLImg2ImgPipeline", load<StableDiffusion>},
      {"StableUnCLIPPipeline", load<StableDiffusion>},
      {"StableUnCLIPImg2ImgPipeline", load<StableDiffusion>},
      {"KandinskyV22Pipeline", load<Kandinsky>},
      {"KandinskyV22CombinedPipeline", load<Kandinsky>},
      {"UnCLIPPipeline", load<Karlo>},
      {"UnCLIPImageVariationPipeline", load<Karlo>},
      {"DDPMPipeline", load<Ddpm>},
  };
  return table;
}

void require_side(const char* name, int side, int multiple) {
  if (side % multiple != 0 || side < multiple || side > largest_side) {
    const int nearest =
        std::clamp((side + multiple / 2) / multiple * multiple, multiple, largest_side);
    fail(Kind::invalid_argument,
         "{} {} cannot be painted: it must be a multiple of {} up to {}; the nearest is {}", name,
         side, multiple, largest_side, nearest);
  }
}

}  // namespace

void PaintableSizes::require(Size size) const {
  if (only && size != *only) {
    fail(Kind::invalid_argument, "{}x{} cannot be painted: this model's size is {}x{}", size.width,
         size.height, only->width, only->height);
  }
  require_side("height", size.height, multiple);
  require_side("width", size.width, multiple);
}

DiffusionModel::DiffusionModel(const Checkpoint& checkpoint, const ModelOptions& options,
                               const fs::path& prior, const PaintableSizes& sizes)
    : placement_(options.placement()),
      sizes_(sizes),
      weights_bytes_(
          options.device.is_cpu() ? weights_within_memory(checkpoint, prior, options.dtype) : 0) {}

at::Tensor DiffusionModel::image_embeds_of(const std::vector<Image>&) const {
  fail(Kind::invalid_argument,
       "this model does not paint from pictures' embeddings; take Kandinsky 2.2, Karlo or Stable "
       "unCLIP (longhand models lists them)");
}

at::Tensor DiffusionModel::imagined_embeds(const Subject&, const ConditioningOptions&,
                                           NoiseSource&) const {
  fail(Kind::invalid_argument,
       "this model has no prior from text to pictures' embeddings; take Kandinsky 2.2 or Karlo");
}

at::Tensor DiffusionModel::text_embeds_of(const std::vector<std::string>&) const {
  fail(Kind::invalid_argument,
       "this model has no text encoder that goes with an image encoder, so that it knows no "
       "differences between texts; take Kandinsky 2.2 or Karlo");
}

std::unique_ptr<DiffusionModel> load_diffusion_model(const fs::path& path,
                                                     const ModelOptions& options) {
  const Checkpoint checkpoint(path, {options.config, options.prediction_type});
  const fs::path index = checkpoint.configs() / "model_index.json";
  const auto name = config_value<std::string>(read_config(index), "_class_name", "");
  const auto found = families().find(name);
  if (found == families().end()) {
    std::string known;
    for (const auto& [each, loader] : families()) {
      known += (known.empty() ? "" : ", ") + each;
    }
    fail(Kind::invalid_argument, "{}: _class_name \"{}\" cannot be painted with; known are {}",
         index.string(), name, known);
  }
  return found->second(checkpoint, options);
}

void refuse_options_of_latents(const ModelOptions& options, const char* model) {
  const bool vae = options.tiny_vae || !options.vae.empty();
  if (vae || !options.loras.empty()) {
    fail(Kind::invalid_argument,
         "{} paints pixels: it has no autoencoder that could be replaced, and takes no LoRA, as "
         "Stable Diffusion 1, 2, XL and Kandinsky 2.2 do; leave {} out",
         model, vae ? "--vae" : "--lora");
  }
}

std::map<std::string, Weights> weights_with_loras(const Checkpoint& checkpoint,
                                                  const std::vector<std::string>& components,
                                                  const ModelOptions& options) {
  std::map<std::string, Weights> weights;
  std::map<std::string, Weights*> targets;
  for (const std::string& component : components) {
    if (checkpoint.has(component)) {
      const auto [at, inserted] =
          weights.emplace(component, checkpoint.weights(component, options.placement()));
      targets[component] = &at->second;
    }
  }
  for (const LoraChoice& choice : options.loras) {
    Lora::load(choice.path, choice.weight).add_to(targets);
  }
  return weights;
}

UNet2DConditionModel load_unet(const Checkpoint& checkpoint,
                               std::map<std::string, Weights>& weights) {
  const auto found = weights.find("unet");
  if (found == weights.end()) {
    fail(Kind::not_found, "{} has no unet", checkpoint.configs().string());
  }
  return UNet2DConditionModel(found->second,
                              UNet2DConditionConfig::from_json(checkpoint.config("unet")));
}

}  // namespace longhand
