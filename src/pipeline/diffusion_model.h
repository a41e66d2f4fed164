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
#include "models/unet_2d_condition.h"
#include "pipeline/super_resolution.h"
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
  double guidance_rescale = 0;  // Stable Diffusion's: see guided() in diffusion/sampler.h
  int prior_steps = 25;
  double prior_guidance = 4;
  bool imagine = false;  // through the prior, for models that paint without one too
  ReadingOptions reading = {};
  int noise_level = 0;  // Stable unCLIP: noise on the image's embedding, 0 to 999
  OnStep on_step = {};  // of all networks: the prior's, the denoiser's, super-resolution's
};

struct LoraChoice {
  fs::path path;
  double weight = 1;
};

/// How a model is loaded.
struct ModelOptions {
  at::ScalarType dtype = at::kFloat;
  at::Device device = at::kCPU;
  std::vector<LoraChoice> loras = {};
  fs::path prior = {};               // a folder with the prior, where it is a model of its own
  fs::path vae = {};                 // a folder; "": the model's own
  bool tiny_vae = false;             // the small autoencoder of the model's latents in its place
  bool previews = false;             // load what previews need
  fs::path config = {};              // a folder whose configs a single file is read with
  std::string prediction_type = {};  // in place of what the configs or the weights say
  /// What is to be painted, where it is known: a size that the model cannot paint is refused before
  /// its weights are read.
  std::optional<Size> size = {};

  at::TensorOptions placement() const { return at::TensorOptions(dtype).device(device); }
};

/// The sizes that a model can paint, as its configs tell.
struct PaintableSizes {
  int multiple = 1;               // both sides are multiples of it, up to 4096
  std::optional<Size> only = {};  // no other
  /// Throws invalid_argument for another size, with the nearest that can be painted.
  void require(Size size) const;
};

/// Re-entrant. A latent is what is denoised: pictures themselves for models in pixel space.
/// Samples, noise and pictures that it is given lie on its device, and so does what it returns.
class DiffusionModel {
 public:
  /// `prior`: a folder with the prior, where it is a model of its own. Throws out_of_memory where
  /// the weights do not fit into the processor's memory, before they are loaded.
  DiffusionModel(const Checkpoint& checkpoint, const ModelOptions& options, const fs::path& prior,
                 const PaintableSizes& sizes);
  virtual ~DiffusionModel() = default;
  at::Device device() const { return placement_.device(); }
  at::ScalarType dtype() const { return c10::typeMetaToScalarType(placement_.dtype()); }
  /// Bytes of the weights in the processor's memory, once they are laid out for computing.
  std::int64_t weights_bytes() const { return weights_bytes_; }
  /// What painting n pictures takes beside the weights at its peak, in bytes: a step of a denoiser,
  /// or the decoding in the way that takes least.
  virtual std::int64_t working_bytes(std::int64_t n, const ConditioningOptions& options) const = 0;

  /// Conditions, both branches of guidance in one batch. Draws from `noise` what the family draws
  /// before its latents. Throws invalid_argument for a subject that the model cannot take.
  virtual Denoise denoiser(const Subject& subject, const ConditioningOptions& options,
                           NoiseSource& noise) const = 0;
  /// [n, channels, h, w] for pictures of this size. Throws as sizes().
  virtual std::vector<std::int64_t> latent_shape(std::int64_t n, int width, int height) const = 0;
  /// Pictures [n, 3, H, W] in -1…1, or one for all of the batch → clean latents; noise is drawn
  /// where the reference samples them, and then one picture's are as many as the noise has seeds.
  virtual at::Tensor latents_of(const at::Tensor& pictures, NoiseSource& noise) const = 0;
  /// Clean latents → pictures, about -1…1. `on_step` is called after steps of super-resolution.
  virtual at::Tensor pictures_of(const at::Tensor& latents, NoiseSource& noise,
                                 const OnStep& on_step) const = 0;
  /// Clean latents → rough pictures, about -1…1, at little cost and of any size. The model must be
  /// loaded with ModelOptions::previews.
  virtual at::Tensor previews_of(const at::Tensor& latents) const = 0;
  /// CLIP embeddings [n, d] of pictures. Throws invalid_argument where it cannot paint from them.
  virtual at::Tensor image_embeds_of(const std::vector<Image>& images) const;
  /// CLIP embeddings [n, d] that the prior imagines for captions; as above.
  virtual at::Tensor imagined_embeds(const Subject& subject, const ConditioningOptions& options,
                                     NoiseSource& noise) const;
  /// CLIP embeddings [n, d] of texts, in the space of pictures' embeddings; as above.
  virtual at::Tensor text_embeds_of(const std::vector<std::string>& texts) const;

  /// True where it embeds pictures and texts in one space, by image_embeds_of and text_embeds_of.
  virtual bool embeds() const { return false; }

  /// Steps of the prior, which denoiser() takes. Throws invalid_argument where the subject needs a
  /// prior and there is none, or one that cannot take so many.
  virtual int prior_steps(const Subject& subject, const ConditioningOptions& options) const {
    return 0;
  }
  /// Steps of super-resolution, which pictures_of() takes.
  virtual int super_res_steps() const { return 0; }
  /// What can make its pictures larger than own_size(); null where there is none.
  virtual const SuperResolution* enlarger() const { return nullptr; }

  virtual const SchedulerConfig& schedule() const = 0;
  virtual Size own_size() const = 0;
  const PaintableSizes& sizes() const { return sizes_; }
  /// What captions are limited to, with the two marks; 0 for a model without text.
  virtual int max_tokens() const = 0;
  /// What counts them.
  virtual std::shared_ptr<const ClipTokenizer> tokenizer() const { return ClipTokenizer::shared(); }
  /// The reference's defaults.
  virtual int default_steps() const = 0;
  virtual double default_guidance() const = 0;

 protected:
  const at::TensorOptions placement_;  // of the networks' weights and of what they compute with

 private:
  PaintableSizes sizes_;
  std::int64_t weights_bytes_;
};

/// The family is told by model_index.json's _class_name. Throws not_found, corrupt, naming the
/// file; invalid_argument for a pipeline that is not known, and for a size that it cannot paint.
std::unique_ptr<DiffusionModel> load_diffusion_model(const fs::path& path,
                                                     const ModelOptions& options);

/// Throws invalid_argument where an autoencoder or LoRAs are asked for and the model paints pixels.
void refuse_options_of_latents(const ModelOptions& options, const char* model);

/// The weights of these components (those that the checkpoint has), LoRAs added.
std::map<std::string, Weights> weights_with_loras(const Checkpoint& checkpoint,
                                                  const std::vector<std::string>& components,
                                                  const ModelOptions& options);

/// The denoiser, of such weights. Throws not_found where they are not there.
UNet2DConditionModel load_unet(const Checkpoint& checkpoint,
                               std::map<std::string, Weights>& weights);

}  // namespace longhand
