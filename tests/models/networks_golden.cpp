// Small seeded networks answer as diffusers and transformers do. Tolerance: 1e-4 of the answer's
// largest value, some hundred times what summing float32 in another order makes.
#include "models/autoencoder_kl.h"
#include "models/autoencoder_tiny.h"
#include "models/clip_text.h"
#include "models/config.h"
#include "models/unet_2d.h"
#include "models/unet_2d_condition.h"
#include "support.h"

using namespace longhand;

namespace {

const fs::path golden = LONGHAND_TESTS "/golden";

}  // namespace

TEST_CASE("UNet2DConditionModel") {
  const c10::InferenceMode inference;
  for (const char* name : {"unet_sd1", "unet_sd2", "unet_sdxl", "unet_lcm", "unet_stable_unclip",
                           "unet_kandinsky", "unet_karlo"}) {
    CAPTURE(name);
    const fs::path folder = golden / name;
    auto weights = Weights::mapped({folder / "diffusion_pytorch_model.safetensors"}, at::kFloat);
    const UNet2DConditionModel model(
        weights, UNet2DConditionConfig::from_json(read_config(folder / "config.json")));
    const auto expected = load_tensors(folder / "expected.safetensors");
    const auto given = [&](const char* condition) {
      const auto found = expected.find(condition);
      return found == expected.end() ? Tensor() : found->second;
    };
    const UNetCondition condition{
        given("context"),  given("context_mask"), given("class_labels"), given("text_embeds"),
        given("time_ids"), given("image_embeds"), given("timestep_cond")};
    const Tensor answer = model.forward(expected.at("sample"), expected.at("timesteps"), condition);
    CHECK(relative_error(answer, expected.at("answer")) < 1e-4);
  }
}

TEST_CASE("UNet2DModel") {
  const c10::InferenceMode inference;
  for (const char* name : {"unet_2d_ddpm", "unet_2d_super_resolution"}) {
    CAPTURE(name);
    const fs::path folder = golden / name;
    auto weights = Weights::mapped({folder / "diffusion_pytorch_model.safetensors"}, at::kFloat);
    const UNet2DModel model(weights, UNet2DConfig::from_json(read_config(folder / "config.json")));
    const auto expected = load_tensors(folder / "expected.safetensors");
    const Tensor answer = model.forward(expected.at("sample"), expected.at("timesteps"));
    CHECK(relative_error(answer, expected.at("answer")) < 1e-4);
  }
}

TEST_CASE("AutoencoderKL") {
  const c10::InferenceMode inference;
  const fs::path folder = golden / "vae";
  auto weights = Weights::mapped({folder / "diffusion_pytorch_model.safetensors"}, at::kFloat);
  const AutoencoderKL model(weights,
                            AutoencoderKLConfig::from_json(read_config(folder / "config.json")));
  const auto expected = load_tensors(folder / "expected.safetensors");
  const auto [mean, log_variance] = model.encode(expected.at("pictures"));
  CHECK(relative_error(mean, expected.at("mean")) < 1e-4);
  CHECK(relative_error(log_variance, expected.at("logvar")) < 1e-4);
  CHECK(relative_error(model.decode(expected.at("latents")), expected.at("answer")) < 1e-4);
}

TEST_CASE("AutoencoderTiny") {
  const c10::InferenceMode inference;
  const fs::path folder = golden / "vae_tiny";
  auto weights = Weights::mapped({folder / "diffusion_pytorch_model.safetensors"}, at::kFloat);
  const AutoencoderTiny model(
      weights, AutoencoderTinyConfig::from_json(read_config(folder / "config.json")));
  const auto expected = load_tensors(folder / "expected.safetensors");
  CHECK(relative_error(model.encode(expected.at("pictures")), expected.at("encoded")) < 1e-4);
  CHECK(relative_error(model.decode(expected.at("latents")), expected.at("answer")) < 1e-4);
}

TEST_CASE("CLIPTextModel") {
  const c10::InferenceMode inference;
  const fs::path folder = golden / "text_encoder";
  auto weights = Weights::mapped({folder / "model.safetensors"}, at::kFloat);
  const CLIPTextModel model(weights,
                            CLIPTextConfig::from_json(read_config(folder / "config.json")));
  const auto expected = load_tensors(folder / "expected.safetensors");
  const TextEncoding encoding = model.forward(expected.at("ids").to(at::kLong));
  CHECK(relative_error(encoding.last_hidden_state, expected.at("last_hidden_state")) < 1e-4);
  CHECK(relative_error(encoding.pooled, expected.at("pooled")) < 1e-4);
}
