// Networks run on a device that is not the processor: all weights are brought to it, no step takes
// a tensor of the processor's or reads memory by itself, and the answers are the recorded ones.
// Tolerance: as on the processor (networks_golden.cpp).

#include "device/other_device.h"
#include "models/autoencoder_kl.h"
#include "models/autoencoder_tiny.h"
#include "models/clip_model.h"
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

const fs::path golden = LONGHAND_TESTS "/golden";
const at::TensorOptions placement = at::TensorOptions(at::kFloat).device(other_device());

/// A golden folder: its network on the other device, and the recorded tensors brought there.
template <class Model, class Config>
struct Recorded {
  explicit Recorded(const char* name, const char* file = "diffusion_pytorch_model.safetensors")
      : weights(Weights::mapped({golden / name / file}, placement)),
        model(weights, Config::from_json(read_config(golden / name / "config.json"))),
        tensors(load_tensors(golden / name / "expected.safetensors")) {}

  /// Undefined where nothing was recorded.
  Tensor operator[](const char* key) const {
    const auto found = tensors.find(key);
    return found == tensors.end() ? Tensor() : found->second.to(other_device());
  }
  void check(const Tensor& answer, const char* key) const {
    CAPTURE(key);
    CHECK(answer.device().str() == other_device().str());
    CHECK(relative_error(answer.cpu(), tensors.at(key)) < 1e-4);
  }

  Weights weights;
  Model model;
  TensorMap tensors;
};

}  // namespace

TEST_CASE("the other device refuses what a GPU refuses") {
  const Tensor here = at::ones({2, 3}, placement), there = at::ones({2, 3});
  CHECK((here * 2 + here).cpu().sum().item<double>() == 18);
  CHECK_THROWS_AS(here + there, c10::Error);
  CHECK_THROWS_AS(at::cat({here, there}), c10::Error);
  CHECK_THROWS_AS(at::matmul(here, there.t()), c10::Error);
  CHECK_THROWS_AS(at::linear(there, here), c10::Error);
  CHECK_THROWS_AS(at::conv2d(here.view({1, 1, 2, 3}), there.view({1, 1, 2, 3})), c10::Error);
}

TEST_CASE("weights on a device: converted, with what is added to them, and not packed") {
  const fs::path file = golden / "unet_sd1" / "diffusion_pytorch_model.safetensors";
  const std::string name = "conv_in.weight";
  const auto taken = [&](const at::TensorOptions& where) {
    Weights weights = Weights::mapped({file}, where);
    CHECK(weights.packs() == where.device().is_cpu());
    const Tensor stored = weights.stored().at(name);
    weights.add(name, {.up = at::ones({stored.size(0), 1}),
                       .down = at::ones({1, stored.size(1), stored.size(2), stored.size(3)})});
    const Tensor tensor = weights.take(name, stored.sizes(), Init::zeros);
    CHECK(tensor.device().str() == where.device().str());
    return tensor.cpu();
  };
  CHECK(at::equal(taken(placement), taken(at::kFloat)));
  CHECK((taken(placement.dtype(at::kBFloat16)).scalar_type() == at::kBFloat16));
}

TEST_CASE("UNet2DConditionModel on a device") {
  const c10::InferenceMode inference;
  for (const char* name : {"unet_sd1", "unet_sd2", "unet_sdxl", "unet_lcm", "unet_stable_unclip",
                           "unet_kandinsky", "unet_karlo"}) {
    CAPTURE(name);
    const Recorded<UNet2DConditionModel, UNet2DConditionConfig> unet(name);
    const UNetCondition condition{unet["context"],      unet["context_mask"], unet["class_labels"],
                                  unet["text_embeds"],  unet["time_ids"],     unet["image_embeds"],
                                  unet["timestep_cond"]};
    unet.check(unet.model.forward(unet["sample"], unet["timesteps"], condition), "answer");
  }
}

TEST_CASE("UNet2DModel on a device") {
  const c10::InferenceMode inference;
  for (const char* name : {"unet_2d_ddpm", "unet_2d_super_resolution"}) {
    const Recorded<UNet2DModel, UNet2DConfig> unet(name);
    unet.check(unet.model.forward(unet["sample"], unet["timesteps"]), "answer");
  }
}

TEST_CASE("autoencoders on a device") {
  const c10::InferenceMode inference;
  const Recorded<AutoencoderKL, AutoencoderKLConfig> vae("vae");
  const auto [mean, log_variance] = vae.model.encode(vae["pictures"]);
  vae.check(mean, "mean");
  vae.check(log_variance, "logvar");
  vae.check(vae.model.decode(vae["latents"]), "answer");
  const Recorded<AutoencoderTiny, AutoencoderTinyConfig> tiny("vae_tiny");
  tiny.check(tiny.model.encode(tiny["pictures"]), "encoded");
  tiny.check(tiny.model.decode(tiny["latents"]), "answer");
  for (const char* name : {"vq", "movq"}) {
    const Recorded<VQModel, VQModelConfig> vq(name);
    vq.check(vq.model.encode(vq["pictures"]), "encoded");
    vq.check(vq.model.quantized(vq["latents"]), "quantized");
    vq.check(vq.model.decode(vq["latents"]), "answer");
  }
}

TEST_CASE("CLIP on a device") {
  const c10::InferenceMode inference;
  for (const char* name : {"text_projection", "text_projection_eos"}) {
    const Recorded<CLIPTextModel, CLIPTextConfig> text(name, "model.safetensors");
    const TextEncoding encoding = text.model.forward(text["ids"].to(at::kLong));
    text.check(encoding.last_hidden_state, "last_hidden_state");
    text.check(encoding.penultimate, "penultimate");
    text.check(encoding.text_embeds, "text_embeds");
  }
  const Recorded<CLIPVisionModelWithProjection, CLIPVisionConfig> vision("clip_vision",
                                                                         "model.safetensors");
  vision.check(vision.model.forward(vision["pixel_values"]).image_embeds, "image_embeds");
  const Recorded<CLIPModel, CLIPConfig> clip("clip", "model.safetensors");
  const Tensor texts = clip.model.text_embeds(clip["ids"].to(at::kLong));
  const Tensor images = clip.model.image_embeds(clip["pixel_values"]);
  clip.check(clip.model.logits_per_image(images, texts), "logits_per_image");
}

TEST_CASE("unCLIP's networks on a device") {
  const c10::InferenceMode inference;
  const Recorded<PriorTransformer, PriorTransformerConfig> prior("prior");
  const auto imagined = [&](const Tensor& mask) {
    return prior.model.forward(prior["latents"], prior["timesteps"],
                               {prior["text_embeds"], prior["states"], mask});
  };
  prior.check(imagined(prior["mask"]), "answer");
  prior.check(imagined({}), "answer_without_mask");
  prior.check(prior.model.post_process_latents(prior["latents"]), "post_processed");
  const Recorded<UnCLIPTextProjModel, UnCLIPTextProjConfig> proj("unclip_text_proj");
  const auto told =
      proj.model.forward(proj["image_embeds"], proj["text_embeds"], proj["states"], true);
  proj.check(told.context, "context");
  proj.check(told.time, "time");
  const Recorded<StableUnCLIPImageNormalizer, StableUnCLIPImageNormalizerConfig> normalizer(
      "image_normalizer");
  normalizer.check(normalizer.model.scale(normalizer["embeds"]), "scaled");
  normalizer.check(normalizer.model.unscale(normalizer["embeds"]), "unscaled");
}
