// UNet2DConditionModel: noisy latents, timestep and conditions → the predicted noise, velocity or
// sample (diffusers UNet2DConditionModel; Rombach et al. 2022; Podell et al. 2023, section 2).
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "models/time_embedding.h"
#include "models/unet_trunk.h"

namespace longhand {

struct UNet2DConditionConfig : UNetTrunkConfig {
  bool flip_sin_to_cos = true;
  double freq_shift = 0;
  int sample_size = 64;
  int time_cond_proj_dim = 0;       // LCM: width of the guidance scale's embedding; 0: none
  std::string class_embed_type;     // "", "identity", "projection"
  std::string addition_embed_type;  // "", "text_time" (SDXL), "image" (Kandinsky 2.2)
  int addition_time_embed_dim = 256;
  int projection_class_embeddings_input_dim = 0;
  std::string encoder_hid_dim_type;  // "", "image_proj" (Kandinsky 2.2)
  int encoder_hid_dim = 0;

  static UNet2DConditionConfig from_json(const nlohmann::json& config);
};

/// What a picture is painted from. Each model's config says which it takes; the others stay
/// undefined. All have the batch first.
struct UNetCondition {
  Tensor context = {};       // [batch, length, cross_attention_dim]: encoder_hidden_states
  Tensor context_mask = {};  // [batch, length], true for tokens that count (Karlo)
  Tensor class_labels = {};  // [batch, …]: Karlo's time additions, Stable unCLIP's image embeddings
  Tensor text_embeds = {};   // [batch, …]: SDXL's pooled text
  Tensor time_ids = {};      // [batch, 6 or 5]: SDXL's sizes, crop, and target or aesthetic score
  Tensor image_embeds = {};  // [batch, …]: Kandinsky 2.2's
  Tensor guidance_embeds = {};  // [batch, time_cond_proj_dim]: LCM's
};

/// Both branches of guidance in one batch, the unconditional one first.
UNetCondition joined(const UNetCondition& without, const UNetCondition& with);

class UNet2DConditionModel {
 public:
  UNet2DConditionModel(Weights& weights, const UNet2DConditionConfig& config);

  /// The model with its condition, of which what no timestep changes is computed once: for the
  /// steps of a run. Not thread-safe; the model must outlive it.
  class Run {
   public:
    /// sample [batch, in_channels, h, w], timesteps [batch] → [batch, out_channels, h, w].
    Tensor forward(const Tensor& sample, const Tensor& timesteps);

   private:
    friend class UNet2DConditionModel;
    Run(const UNet2DConditionModel& model, const UNetCondition& condition);

    const UNet2DConditionModel& model_;
    Tensor guidance_embeds_;
    Tensor added_time_;  // [batch, time_channels], or undefined
    Context context_;
  };
  /// Throws internal where a condition that the config asks for is undefined.
  Run with(const UNetCondition& condition) const { return {*this, condition}; }
  /// One step alone.
  Tensor forward(const Tensor& sample, const Tensor& timesteps,
                 const UNetCondition& condition) const {
    return with(condition).forward(sample, timesteps);
  }
  const UNet2DConditionConfig& config() const { return config_; }

 private:
  int time_channels() const { return config_.block_out_channels[0] * 4; }
  Tensor sinusoids(const Tensor& numbers, int channels) const;
  Tensor added_time(const UNetCondition& condition) const;
  Context context(const UNetCondition& condition) const;

  UNet2DConditionConfig config_;
  TimestepEmbedding time_embedding_;
  std::optional<TimestepEmbedding> class_embedding_, add_embedding_;
  std::optional<Linear> image_time_proj_, image_token_proj_;
  std::optional<LayerNorm> image_time_norm_, image_token_norm_;
  UNetTrunk trunk_;
};

}  // namespace longhand
