#include "models/clip_vision.h"

#include "core/error.h"
#include "models/config.h"

namespace longhand {
namespace {

int positions_of(const CLIPVisionConfig& config) {
  const int side = config.image_size / config.patch_size;
  return side * side + 1;
}

}  // namespace

CLIPVisionConfig CLIPVisionConfig::from_json(const nlohmann::json& config) {
  CLIPVisionConfig c;
  c.hidden_size = 768;
  c.intermediate_size = 3072;
  c.num_attention_heads = 12;
  c.read(config);
  c.num_channels = config_value(config, "num_channels", c.num_channels);
  c.image_size = config_value(config, "image_size", c.image_size);
  c.patch_size = config_value(config, "patch_size", c.patch_size);
  constexpr int most = 4096;
  if (c.patch_size < 1 || c.image_size < c.patch_size || c.image_size > most) {
    fail(Kind::corrupt,
         "patches of {} pixels in a picture of {}; expected 1 <= patch_size <= "
         "image_size <= {}",
         c.patch_size, c.image_size, most);
  }
  return c;
}

CLIPVisionTransformer::CLIPVisionTransformer(const Scope& scope, const CLIPVisionConfig& config)
    : config_(config),
      class_embedding_(
          (scope / "embeddings").take("class_embedding", {config.hidden_size}, Init::normal)),
      patch_embedding_(scope / "embeddings" / "patch_embedding", config.num_channels,
                       config.hidden_size, config.patch_size, config.patch_size, 0, false),
      position_embedding_(
          (scope / "embeddings" / "position_embedding")
              .take("weight", {positions_of(config), config.hidden_size}, Init::normal_03)),
      pre_layrnorm_(scope / "pre_layrnorm", config.hidden_size, config.layer_norm_eps),
      encoder_(scope / "encoder", config),
      post_layernorm_(scope / "post_layernorm", config.hidden_size, config.layer_norm_eps) {}

ImageEncoding CLIPVisionTransformer::forward(const Tensor& pixel_values) const {
  const int side = config_.image_size;
  if (pixel_values.dim() != 4 || pixel_values.size(1) != config_.num_channels ||
      pixel_values.size(2) != side || pixel_values.size(3) != side) {
    fail(Kind::invalid_argument, "the image encoder takes pictures of {}x{} pixels in {} channels",
         side, side, config_.num_channels);
  }
  const std::int64_t batch = pixel_values.size(0);
  const Tensor patches =
      patch_embedding_.forward(pixel_values.to(class_embedding_.scalar_type())).flatten(2);
  const Tensor tokens = at::cat(
      {class_embedding_.expand({batch, 1, config_.hidden_size}), patches.transpose(1, 2)}, 1);
  const Tensor last =
      encoder_.forward(pre_layrnorm_.forward(tokens + position_embedding_), {}).last;
  return {last, post_layernorm_.forward(last.select(1, 0)), {}};
}

CLIPVisionModelWithProjection::CLIPVisionModelWithProjection(Weights& weights,
                                                             const CLIPVisionConfig& config)
    : vision_model_(Scope(weights) / "vision_model", config),
      visual_projection_(Scope(weights) / "visual_projection", config.hidden_size,
                         config.projection_dim, false) {
  weights.ignore("vision_model.embeddings.position_ids");
  weights.finish("CLIPVisionModelWithProjection");
}

ImageEncoding CLIPVisionModelWithProjection::forward(const Tensor& pixel_values) const {
  ImageEncoding encoding = vision_model_.forward(pixel_values);
  encoding.image_embeds = visual_projection_.forward(encoding.pooled);
  return encoding;
}

}  // namespace longhand
