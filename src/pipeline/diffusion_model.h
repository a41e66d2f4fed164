// What all families of models have in common, so that one painter paints with each: from what a
// picture is to show to a denoiser, and between pictures and what is denoised.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/fields.h"
#include "diffusion/sampler.h"
#include "io/image.h"
#include "models/checkpoint.h"
#include "pipeline/text_encoder.h"

namespace longhand {

/// What a batch of pictures is to show.
struct Subject {
  std::vector<std::string> captions;  // one a picture; all "" for a model without text
  /// One for all pictures; not set differs from "" where a model was trained with zeros for none.
  std::optional<std::string> negative_prompt;
  /// CLIP embeddings of pictures [n, d], for models that paint from them; undefined: from text.
  at::Tensor image_embeds;

  std::int64_t size() const { return static_cast<std::int64_t>(captions.size()); }
};

/// How they are conditioned.
struct ConditioningOptions {
  int width = 512, height = 512;
  double guidance = 5;
  int prior_steps = 25;
  double prior_guidance = 4;
  ReadingOptions reading = {};
  int noise_level = 0;  // Stable unCLIP: noise on the image's embedding, 0 to 999
};

struct LoraChoice {
  fs::path path;
  double weight = 1;
};

/// How a model is loaded.
struct ModelOptions {
  at::ScalarType dtype = at::kFloat;
  std::vector<LoraChoice> loras = {};
  fs::path prior = {};  // a folder with the prior, where it is a model of its own
  fs::path vae = {};    // a folder; "": the model's own
};

/// Re-entrant. A latent is what is denoised: pictures themselves for models in pixel space.
class DiffusionModel {
 public:
  virtual ~DiffusionModel() = default;

  /// Conditions, both branches of guidance in one batch. Draws from `noise` what the family draws
  /// before its latents. Throws invalid_argument for a subject that the model cannot take.
  virtual Denoise denoiser(const Subject& subject, const ConditioningOptions& options,
                           NoiseSource& noise) const = 0;
  /// [n, channels, h, w] for pictures of this size. Throws invalid_argument for a size that cannot
  /// be painted, with the nearest that can.
  virtual std::vector<std::int64_t> latent_shape(std::int64_t n, int width, int height) const = 0;
  /// Pictures [n, 3, H, W] in -1…1 → clean latents; noise is drawn where the reference samples
  /// them.
  virtual at::Tensor latents_of(const at::Tensor& pictures, NoiseSource& noise) const = 0;
  /// Clean latents → pictures, about -1…1.
  virtual at::Tensor pictures_of(const at::Tensor& latents, NoiseSource& noise) const = 0;
  /// CLIP embeddings [n, d] of pictures. Throws invalid_argument where it cannot paint from them.
  virtual at::Tensor image_embeds_of(const std::vector<Image>& images) const;
  /// CLIP embeddings [n, d] that the prior imagines for captions; as above.
  virtual at::Tensor imagined_embeds(const Subject& subject, const ConditioningOptions& options,
                                     NoiseSource& noise) const;
  /// CLIP embeddings [n, d] of texts, in the space of pictures' embeddings; as above.
  virtual at::Tensor text_embeds_of(const std::vector<std::string>& texts) const;

  virtual const SchedulerConfig& schedule() const = 0;
  virtual Size own_size() const = 0;
  /// What captions are limited to, with the two marks; 0 for a model without text.
  virtual int max_tokens() const = 0;
  /// The reference's defaults.
  virtual int default_steps() const = 0;
  virtual double default_guidance() const = 0;
};

/// The family is told by model_index.json's _class_name. Throws not_found, corrupt, naming the
/// file; invalid_argument for a pipeline that is not known.
std::unique_ptr<DiffusionModel> load_diffusion_model(const fs::path& path,
                                                     const ModelOptions& options);

/// A side in latents. Throws invalid_argument where it is no multiple of `factor` or beyond what
/// can be painted, with the nearest that can.
std::int64_t latent_side(int side, int factor, const char* name);

/// Throws invalid_argument where an autoencoder or LoRAs are asked for and the model paints pixels.
void refuse_options_of_latents(const ModelOptions& options, const char* model);

/// The weights of these components (those that the checkpoint has), LoRAs added.
std::map<std::string, Weights> weights_with_loras(const Checkpoint& checkpoint,
                                                  const std::vector<std::string>& components,
                                                  const ModelOptions& options);

}  // namespace longhand
