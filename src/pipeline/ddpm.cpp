#include "pipeline/ddpm.h"

#include <algorithm>

#include "core/error.h"
#include "pipeline/memory.h"

namespace longhand {
namespace {

constexpr int colours = 3;

}  // namespace

Ddpm::Ddpm(const Checkpoint& checkpoint, const ModelOptions& options)
    : DiffusionModel(checkpoint, options, {}, paintable_sizes(checkpoint, options)),
      unet_(load_component<UNet2DModel, UNet2DConfig>(checkpoint, "unet", placement_)),
      schedule_(SchedulerConfig::from_json(checkpoint.config("scheduler"))) {
  refuse_options_of_latents(options, "a model without text");
  if (!options.prior.empty()) {
    fail(Kind::invalid_argument, "a model without text has no use for a prior; leave --prior out");
  }
  const UNet2DConfig& own = unet_.config();
  if (own.in_channels != colours ||
      (own.out_channels != colours && own.out_channels != 2 * colours)) {
    fail(Kind::corrupt,
         "{}: the unet takes {} channels and answers {}; expected 3, and 3 or 6 (with a variance)",
         checkpoint.configs().string(), own.in_channels, own.out_channels);
  }
}

PaintableSizes Ddpm::paintable_sizes(const Checkpoint& checkpoint, const ModelOptions&) {
  const auto config = UNet2DConfig::from_json(checkpoint.config("unet"));
  return {.multiple = 1 << (config.block_out_channels.size() - 1)};
}

Denoise Ddpm::denoiser(const Subject& subject, const ConditioningOptions& options,
                       NoiseSource&) const {
  const bool words = std::ranges::any_of(
      subject.captions, [](const std::string& caption) { return !caption.empty(); });
  if (words || !subject.negative_prompt.value_or("").empty()) {
    fail(Kind::invalid_argument,
         "this model was trained without text and paints what it was trained on; leave the prompt "
         "out, or take a model that reads one (longhand models lists them)");
  }
  if (subject.image_embeds.defined() || options.guidance > 1) {
    fail(Kind::invalid_argument,
         "this model was trained without conditions; it cannot be guided or vary a picture: leave "
         "--guidance out");
  }
  return guided_denoise(
      [this](const at::Tensor& input, const at::Tensor& timesteps) {
        return unet_.forward(input, timesteps);
      },
      1, placement_);
}

std::vector<std::int64_t> Ddpm::latent_shape(std::int64_t n, int width, int height) const {
  sizes().require({width, height});
  return {n, colours, height, width};
}

std::int64_t Ddpm::working_bytes(std::int64_t n, const ConditioningOptions& options) const {
  return unet_bytes(unet_.config(), n, options.height, options.width, dtype());
}

Size Ddpm::own_size() const {
  const int side = unet_.config().sample_size;
  return {side, side};
}

}  // namespace longhand
