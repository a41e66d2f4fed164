// The networks of the unCLIP family, small and seeded, answer as diffusers and transformers do
// (tests/golden/record_unclip.py). Tolerance: 1e-4 of the answer's largest value, some hundred
// times what summing float32 in another order makes.
#include <algorithm>

#include "core/error.h"
#include "models/clip_image.h"
#include "models/clip_model.h"
#include "models/config.h"
#include "models/image_normalizer.h"
#include "models/prior_transformer.h"
#include "models/unclip_text_proj.h"
#include "models/vq_model.h"
#include "recorded.h"

using namespace longhand;

TEST_CASE("PriorTransformer") {
  const c10::InferenceMode inference;
  const Recorded<PriorTransformer, PriorTransformerConfig> prior("prior");
  const auto answer = [&](const Tensor& mask) {
    return prior.model.forward(prior["latents"], prior["timesteps"],
                               {prior["text_embeds"], prior["states"], mask});
  };
  CHECK(prior.error(answer(prior["mask"]), "answer") < 1e-4);
  CHECK(prior.error(answer({}), "answer_without_mask") < 1e-4);
  CHECK(prior.error(prior.model.post_process_latents(prior["latents"]), "post_processed") < 1e-4);
}

TEST_CASE("PriorTransformer: options that change the numbers are refused") {
  CHECK_NOTHROW(PriorTransformerConfig::from_json({{"norm_in_type", nullptr}}));
  for (const char* field : {"norm_in_type", "embedding_proj_norm_type", "time_embed_act_fn"}) {
    CHECK_THROWS_AS(PriorTransformerConfig::from_json({{field, "layer"}}), Error);
  }
}

TEST_CASE("CLIPTextModelWithProjection") {
  const c10::InferenceMode inference;
  // The end mark is the highest id (eos_token_id 2) with padding 0, or the first eos_token_id.
  for (const char* name : {"text_projection", "text_projection_eos"}) {
    const Recorded<CLIPTextModel, CLIPTextConfig> text(name, "model.safetensors");
    const TextEncoding encoding = text.model.forward(text["ids"].to(at::kLong));
    CHECK(text.error(encoding.last_hidden_state, "last_hidden_state") < 1e-4);
    CHECK(text.error(encoding.penultimate, "penultimate") < 1e-4);
    CHECK(text.error(encoding.text_embeds, "text_embeds") < 1e-4);
  }
}

TEST_CASE("CLIPTextModel: transformers 4's names, with their position_ids") {
  const c10::InferenceMode inference;
  const fs::path folder = golden / "text_encoder";
  auto weights =
      Weights::mapped({folder / "model.safetensors"}, at::kFloat, [](const TensorMap& stored) {
        TensorMap renamed;
        for (const auto& [name, tensor] : stored) {
          renamed["text_model." + name] = tensor;
        }
        renamed["text_model.embeddings.position_ids"] = at::arange(12).unsqueeze(0);
        return renamed;
      });
  REQUIRE(weights.contains("text_model.embeddings.token_embedding.weight"));
  const CLIPTextModel model(weights,
                            CLIPTextConfig::from_json(read_config(folder / "config.json")));
  const auto expected = load_tensors(folder / "expected.safetensors");
  const TextEncoding encoding = model.forward(expected.at("ids").to(at::kLong));
  CHECK(relative_error(encoding.pooled, expected.at("pooled")) < 1e-4);
  CHECK_FALSE(encoding.text_embeds.defined());
}

TEST_CASE("CLIPVisionModelWithProjection") {
  const c10::InferenceMode inference;
  const Recorded<CLIPVisionModelWithProjection, CLIPVisionConfig> vision("clip_vision",
                                                                         "model.safetensors");
  const ImageEncoding encoding = vision.model.forward(vision["pixel_values"]);
  CHECK(vision.error(encoding.last_hidden_state, "last_hidden_state") < 1e-4);
  CHECK(vision.error(encoding.image_embeds, "image_embeds") < 1e-4);
  CHECK_THROWS_AS(vision.model.forward(vision["pixel_values"].slice(2, 0, 21)), Error);
}

TEST_CASE("CLIPModel") {
  const c10::InferenceMode inference;
  const Recorded<CLIPModel, CLIPConfig> clip("clip", "model.safetensors");
  const Tensor text = clip.model.text_embeds(clip["ids"].to(at::kLong));
  const Tensor images = clip.model.image_embeds(clip["pixel_values"]);
  CHECK(clip.error(text, "text_embeds") < 1e-4);
  CHECK(clip.error(images, "image_embeds") < 1e-4);
  CHECK(clip.error(clip.model.logits_per_image(images, text), "logits_per_image") < 1e-4);
}

TEST_CASE("VQModel, plain and with norms conditioned on the latents") {
  const c10::InferenceMode inference;
  for (const char* name : {"vq", "movq"}) {
    const Recorded<VQModel, VQModelConfig> vq(name);
    const Tensor& latents = vq["latents"];
    CHECK(vq.error(vq.model.encode(vq["pictures"]), "encoded") < 1e-4);
    CHECK(vq.error(vq.model.quantized(latents), "quantized") < 1e-4);
    CHECK(vq.error(vq.model.decode(latents), "answer") < 1e-4);
    CHECK(vq.error(vq.model.decode(vq.model.quantized(latents)), "answer_quantized") < 1e-4);
  }
}

TEST_CASE("UnCLIPTextProjModel") {
  const c10::InferenceMode inference;
  const Recorded<UnCLIPTextProjModel, UnCLIPTextProjConfig> proj("unclip_text_proj");
  const Tensor& images = proj["image_embeds"];
  const auto guided = proj.model.forward(images, proj["text_embeds"], proj["states"], true);
  CHECK(proj.error(guided.context, "context") < 1e-4);
  CHECK(proj.error(guided.time, "time") < 1e-4);
  const auto plain =
      proj.model.forward(at::cat({images, images}, 0), proj["text_embeds"], proj["states"], false);
  CHECK(proj.error(plain.context, "plain_context") < 1e-4);
  CHECK(proj.error(plain.time, "plain_time") < 1e-4);
}

TEST_CASE("StableUnCLIPImageNormalizer") {
  const c10::InferenceMode inference;
  const Recorded<StableUnCLIPImageNormalizer, StableUnCLIPImageNormalizerConfig> normalizer(
      "image_normalizer");
  CHECK(normalizer.error(normalizer.model.scale(normalizer["embeds"]), "scaled") < 1e-4);
  CHECK(normalizer.error(normalizer.model.unscale(normalizer["embeds"]), "unscaled") < 1e-4);
}

TEST_CASE("CLIPImageProcessor: at most one of 255 from PIL's filter") {
  const auto processor = CLIPImageProcessor::from_json(
      read_config(golden / "clip_image" / "preprocessor_config.json"));
  const auto expected = load_tensors(golden / "clip_image" / "expected.safetensors");
  const Tensor deviation = at::tensor(processor.image_std, at::kFloat).view({3, 1, 1});
  for (const std::string name : {"wide", "tall", "small", "transparent"}) {
    const Tensor& pixels = expected.at(name + ".pixels");
    Image image(static_cast<int>(pixels.size(1)), static_cast<int>(pixels.size(0)),
                static_cast<int>(pixels.size(2)));
    std::copy_n(pixels.const_data_ptr<std::uint8_t>(), image.pixels.size(), image.pixels.begin());
    const Tensor difference =
        (processor.pixel_values(image) - expected.at(name + ".pixel_values")) * deviation * 255;
    INFO(name, ": mean ", difference.abs().mean().item<double>());
    CHECK(difference.abs().max().item<double>() < 1.001);  // 0.001: float32's normalising
    CHECK(difference.abs().mean().item<double>() < 0.02);
  }
  CHECK_THROWS_AS(processor.pixel_values(Image(65, 1, 3)), Error);
}

TEST_CASE("CLIPImageProcessor: the short form of older files, and what is refused") {
  const auto processor = CLIPImageProcessor::from_json({{"size", 32}, {"crop_size", 24}});
  CHECK(processor.size == 32);
  CHECK(processor.crop_size == 24);
  CHECK_THROWS_AS(CLIPImageProcessor::from_json({{"resample", 2}}), Error);
  CHECK_THROWS_AS(CLIPImageProcessor::from_json({{"do_center_crop", false}}), Error);
  CHECK_THROWS_AS(CLIPImageProcessor::from_json({{"size", {{"height", 32}}}}), Error);
}
