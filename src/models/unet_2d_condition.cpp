#include "models/unet_2d_condition.h"

#include "core/error.h"
#include "models/config.h"

namespace longhand {
namespace {

constexpr int image_tokens = 32;  // diffusers ImageProjection as UNet2DConditionModel builds it

void check_one_of(const char* name, const std::string& value,
                  std::initializer_list<const char*> known) {
  for (const char* each : known) {
    if (value == each) {
      return;
    }
  }
  fail(Kind::corrupt, "the UNet's config has {} = {}, which is not supported", name, value);
}

const Tensor& given(const Tensor& tensor, const char* name) {
  if (!tensor.defined()) {
    fail(Kind::internal, "this UNet is conditioned on {}, which is missing", name);
  }
  return tensor;
}

}  // namespace

UNet2DConditionConfig UNet2DConditionConfig::from_json(const nlohmann::json& config) {
  UNet2DConditionConfig c;
  c.read(config);
  const auto take = [&](const char* name, auto& field) {
    field = config_value(config, name, field);
  };
  take("flip_sin_to_cos", c.flip_sin_to_cos);
  take("freq_shift", c.freq_shift);
  take("sample_size", c.sample_size);
  take("time_cond_proj_dim", c.time_cond_proj_dim);
  take("class_embed_type", c.class_embed_type);
  take("addition_embed_type", c.addition_embed_type);
  take("addition_time_embed_dim", c.addition_time_embed_dim);
  take("projection_class_embeddings_input_dim", c.projection_class_embeddings_input_dim);
  take("encoder_hid_dim_type", c.encoder_hid_dim_type);
  take("encoder_hid_dim", c.encoder_hid_dim);
  check_one_of("class_embed_type", c.class_embed_type, {"", "identity", "projection"});
  check_one_of("addition_embed_type", c.addition_embed_type, {"", "text_time", "image"});
  check_one_of("encoder_hid_dim_type", c.encoder_hid_dim_type, {"", "image_proj"});
  const bool projects = c.class_embed_type == "projection" || c.addition_embed_type == "text_time";
  if (projects && c.projection_class_embeddings_input_dim < 1) {
    fail(Kind::corrupt, "the UNet's config lacks projection_class_embeddings_input_dim");
  }
  if (!c.class_embed_type.empty() && !c.addition_embed_type.empty()) {
    fail(Kind::corrupt,
         "the UNet's config has class_embed_type and addition_embed_type at once, which is not "
         "supported");
  }
  const bool images = c.encoder_hid_dim_type == "image_proj" || c.addition_embed_type == "image";
  if (images && c.encoder_hid_dim < 1) {
    fail(Kind::corrupt, "the UNet's config lacks encoder_hid_dim");
  }
  return c;
}

UNetCondition joined(const UNetCondition& without, const UNetCondition& with) {
  const auto cat = [](const Tensor& a, const Tensor& b) {
    return a.defined() ? at::cat({a, b}) : Tensor();
  };
  return {cat(without.context, with.context),
          cat(without.context_mask, with.context_mask),
          cat(without.class_labels, with.class_labels),
          cat(without.text_embeds, with.text_embeds),
          cat(without.time_ids, with.time_ids),
          cat(without.image_embeds, with.image_embeds),
          cat(without.guidance_embeds, with.guidance_embeds)};
}

UNet2DConditionModel::UNet2DConditionModel(Weights& weights, const UNet2DConditionConfig& config)
    : config_(config),
      time_embedding_(Scope(weights) / "time_embedding", config.block_out_channels[0],
                      time_channels(), config.time_cond_proj_dim),
      trunk_(Scope(weights), config, time_channels()) {
  const Scope root(weights);
  if (config.class_embed_type == "projection") {
    class_embedding_.emplace(root / "class_embedding", config.projection_class_embeddings_input_dim,
                             time_channels());
  }
  if (config.addition_embed_type == "text_time") {
    add_embedding_.emplace(root / "add_embedding", config.projection_class_embeddings_input_dim,
                           time_channels());
  } else if (config.addition_embed_type == "image") {
    image_time_proj_.emplace(root / "add_embedding" / "image_proj", config.encoder_hid_dim,
                             time_channels());
    image_time_norm_.emplace(root / "add_embedding" / "image_norm", time_channels());
  }
  if (config.encoder_hid_dim_type == "image_proj") {
    image_token_proj_.emplace(root / "encoder_hid_proj" / "image_embeds", config.encoder_hid_dim,
                              image_tokens * config.cross_attention_dim);
    image_token_norm_.emplace(root / "encoder_hid_proj" / "norm", config.cross_attention_dim);
  }
  weights.finish("UNet2DConditionModel");
}

Tensor UNet2DConditionModel::sinusoids(const Tensor& numbers, int channels) const {
  return timestep_embedding(numbers, channels, config_.flip_sin_to_cos, config_.freq_shift);
}

/// What is added to the timestep's embedding; undefined where nothing is.
Tensor UNet2DConditionModel::added_time(const UNetCondition& condition) const {
  if (class_embedding_) {
    return class_embedding_->forward(given(condition.class_labels, "class_labels"));
  }
  if (config_.class_embed_type == "identity") {
    return given(condition.class_labels, "class_labels");
  }
  if (add_embedding_) {
    const Tensor& text = given(condition.text_embeds, "text_embeds");
    const Tensor& ids = given(condition.time_ids, "time_ids");
    const Tensor sizes = sinusoids(ids.flatten(), config_.addition_time_embed_dim)
                             .view({ids.size(0), -1})
                             .to(text.scalar_type());
    return add_embedding_->forward(at::cat({text, sizes}, 1));
  }
  if (image_time_proj_) {
    return image_time_norm_->forward(
        image_time_proj_->forward(given(condition.image_embeds, "image_embeds")));
  }
  return {};
}

Context UNet2DConditionModel::context(const UNetCondition& condition) const {
  Tensor states = condition.context, mask;
  if (image_token_proj_) {
    const Tensor& image = given(condition.image_embeds, "image_embeds");
    states = image_token_norm_->forward(image_token_proj_->forward(image).view(
        {image.size(0), image_tokens, config_.cross_attention_dim}));
  }
  if (condition.context_mask.defined()) {
    mask = ((condition.context_mask.to(at::kFloat) - 1) * 10000.0).unsqueeze(1).unsqueeze(1);
  }
  return Context(given(states, "context"), mask);
}

UNet2DConditionModel::Run::Run(const UNet2DConditionModel& model, const UNetCondition& condition)
    : model_(model),
      guidance_embeds_(condition.guidance_embeds),
      added_time_(model.added_time(condition)),
      context_(model.context(condition)) {}

Tensor UNet2DConditionModel::Run::forward(const Tensor& sample, const Tensor& timesteps) {
  const Tensor numbers = model_.sinusoids(timesteps, model_.config_.block_out_channels[0]);
  Tensor time = model_.time_embedding_.forward(numbers.to(sample.scalar_type()), guidance_embeds_);
  if (added_time_.defined()) {
    time = time + added_time_;
  }
  return model_.trunk_.forward(sample, at::silu(time), context_);
}

}  // namespace longhand
