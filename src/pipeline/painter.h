// Painting: captions → text states [n, 77, dim] → latents [n, c, h/f, w/f] → pictures, with one
// model folder in the diffusers layout (model_index.json, text_encoder/, unet/, vae/, scheduler/).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/fields.h"
#include "core/files.h"
#include "diffusion/noise_schedule.h"
#include "diffusion/noise_source.h"
#include "io/image.h"
#include "models/autoencoder.h"
#include "models/clip_text.h"
#include "models/unet_2d_condition.h"

namespace longhand {

/// The folder of a model: "pocket" → the project's own models/pocket, anything else is a path.
fs::path model_folder(const std::string& name_or_path);

/// What a model folder's longhand.json says of its use; all of it may be absent.
struct ModelDefaults {
  int steps = 25;
  double guidance = 5;
  std::string scheduler;  // "" takes the class that scheduler_config.json names
  fs::path
      upsampling;     // the template of the captions that it was trained on; "" where there is none
  std::string about;  // what it can paint, for people

  static ModelDefaults of(const fs::path& folder);
};

/// One picture to paint.
struct Order {
  std::string caption;
  std::int64_t seed = 0;
};

struct PaintOptions {
  int width = 128, height = 128;
  int steps = 25;
  double guidance = 5;
  std::string scheduler = "ddim";
  std::function<void(int)> on_step;  // called after each step with its number; may throw to stop
};

/// Re-entrant: paint() may run on several threads at once.
class Painter {
 public:
  /// dtype: "auto", "float32", "bfloat16" (nn/dtype.h). Throws not_found, corrupt, naming the file.
  Painter(const fs::path& folder, const std::string& dtype);

  /// Paints the orders in one batch, both branches of guidance in it. Each order's noise is that of
  /// torch's generator on the processor at its seed, [1, c, h, w], as diffusers draws it. Throws
  /// invalid_argument for a size that the model cannot paint.
  std::vector<Image> paint(const std::vector<Order>& orders, const PaintOptions& options) const;

  /// Throws invalid_argument for a size, a number of steps or a scheduler that it cannot paint
  /// with.
  void check(const PaintOptions& options) const;
  /// What captions are limited to, with the two marks.
  int max_tokens() const { return text_encoder_.config().max_position_embeddings; }
  /// The size that the model was trained at.
  Size own_size() const;
  /// The class that its scheduler_config.json names.
  const std::string& own_scheduler() const { return schedule_.class_name; }

 private:
  Painter(const fs::path& folder, at::ScalarType dtype);
  std::vector<Image> painted(const std::vector<Order>& orders, const PaintOptions& options) const;
  at::Tensor encode(const std::vector<std::string>& captions) const;
  at::Tensor noise(NoiseSource& source, std::size_t count, const PaintOptions& options) const;

  at::ScalarType dtype_;
  Weights unet_weights_, text_weights_;
  UNet2DConditionModel unet_;
  CLIPTextModel text_encoder_;
  std::unique_ptr<Autoencoder> autoencoder_;
  SchedulerConfig schedule_;
};

/// Ids of captions, each padded or cut to the text encoder's length: [captions, length].
at::Tensor caption_ids(const std::vector<std::string>& captions, const CLIPTextConfig& config);

}  // namespace longhand
