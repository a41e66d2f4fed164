#include "models/clip_model.h"

#include "models/config.h"

namespace longhand {

CLIPConfig CLIPConfig::from_json(const nlohmann::json& config) {
  const auto part = [&](const char* name) {
    return config_value<nlohmann::json>(config, name, nlohmann::json::object());
  };
  CLIPConfig c;
  c.text_config = CLIPTextConfig::from_json(part("text_config"));
  c.vision_config = CLIPVisionConfig::from_json(part("vision_config"));
  c.projection_dim = config_value(config, "projection_dim", c.projection_dim);
  return c;
}

CLIPModel::CLIPModel(Weights& weights, const CLIPConfig& config)
    : text_model_(Scope(weights) / "text_model", config.text_config),
      vision_model_(Scope(weights) / "vision_model", config.vision_config),
      text_projection_(Scope(weights) / "text_projection", config.text_config.hidden_size,
                       config.projection_dim, false),
      visual_projection_(Scope(weights) / "visual_projection", config.vision_config.hidden_size,
                         config.projection_dim, false),
      logit_scale_(Scope(weights).take("logit_scale", {}, Init::zeros)) {
  weights.ignore("text_model.embeddings.position_ids");
  weights.ignore("vision_model.embeddings.position_ids");
  weights.finish("CLIPModel");
}

Tensor CLIPModel::text_embeds(const Tensor& ids) const {
  return text_projection_.forward(text_model_.forward(ids).pooled);
}

Tensor CLIPModel::image_embeds(const Tensor& pixel_values) const {
  return visual_projection_.forward(vision_model_.forward(pixel_values).pooled);
}

Tensor CLIPModel::logits_per_image(const Tensor& image_embeds, const Tensor& text_embeds) const {
  return cosine_similarities(image_embeds, text_embeds) * logit_scale_.exp();
}

Tensor cosine_similarities(const Tensor& image_embeds, const Tensor& text_embeds) {
  const auto unit = [](const Tensor& x) { return x / x.norm(2, {-1}, true); };
  return at::matmul(unit(image_embeds), unit(text_embeds).t());
}

}  // namespace longhand
