// Painting: captions → conditions → latents [n, c, h/f, w/f] → pictures, with any family of models.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/files.h"
#include "pipeline/diffusion_model.h"
#include "pipeline/sdedit.h"

namespace longhand {

/// What a model folder's longhand.json says of its use; all of it may be absent.
struct ModelDefaults {
  std::optional<int> steps;                // not set: the family's
  std::optional<double> guidance;          // not set: the family's
  std::optional<double> guidance_rescale;  // not set: 0
  std::string scheduler;                   // "" takes the class that scheduler_config.json names
  /// The template of the captions that it was trained on; "" where there is none.
  fs::path upsampling;
  std::string about;  // what it can paint, for people

  static ModelDefaults of(const fs::path& folder);
};

/// One picture to paint.
struct Order {
  std::string caption;
  std::int64_t seed = 0;
  // All orders of a batch have these, or none.
  at::Tensor image_embeds = {};  // [d], for models that paint from a picture's embedding
  at::Tensor noise = {};         // [c, h, w], which the run starts from; undefined: the seed's
};

/// What a batch looks like on the way.
struct Preview {
  std::vector<Image> pictures;  // one for each order: rough, and of Karlo small
  int step = 0, steps = 0;      // of the denoiser: those that are done, and all
};

struct PaintOptions : ConditioningOptions {
  int steps = 25;
  std::string scheduler = "ddim";
  double eta = 0;  // DDIM's
  /// Without the scheduler's bounds on the clean sample, as noise_of() runs.
  bool unbounded = false;
  std::optional<std::string> negative_prompt;
  /// The refiner takes over at this part of the way, 0 to 1; needs a painter with a refiner.
  double refiner_start = 0.8;
  /// Makes the pictures larger by the model's super-resolution; of painting from noise alone.
  bool enlarge = false;
  /// Paints each picture so often, and keeps the one whose CLIP embedding is nearest to the
  /// caption's, or, without words, to the embedding that it is painted from (Ramesh et al. 2021,
  /// section 2.6). The first attempt has the order's seed; previews show every attempt.
  int best_of = 1;
  /// Edits this picture of the size above, in place of painting from noise; without a refiner.
  std::optional<PictureGuide> guide;
  /// Is given previews on the way, evenly spaced, the last of them after the denoiser's last step.
  /// Needs a painter that was loaded with ModelOptions::previews.
  std::function<void(const Preview&)> on_preview;
  int previews = 10;  // in a run that has as many steps
};

/// Re-entrant: paint() may run on several threads at once.
class Painter {
 public:
  /// Throws not_found, corrupt, naming the file.
  Painter(const fs::path& model, const ModelOptions& options);

  /// SDXL's refiner paints the end of each run (Podell et al. 2023, section 2.5).
  void add_refiner(const fs::path& model, const ModelOptions& options);

  /// Paints the orders in one batch, both branches of guidance in it. Each order's noise is that of
  /// torch's generator on the processor at its seed, [1, c, h, w], as diffusers draws it. Throws
  /// invalid_argument for a size that the model cannot paint, and for a guide's strength.
  std::vector<Image> paint(const std::vector<Order>& orders, const PaintOptions& options) const;

  /// The noise [c, h, w] from which DDIM with η = 0, unbounded, paints this picture (of the size
  /// of the options) for this order: see diffusion/inversion.h.
  at::Tensor noise_of(const Image& picture, const Order& order, const PaintOptions& options) const;

  /// Throws invalid_argument for a size, a number of steps or a scheduler that it cannot paint
  /// with, and where pictures are to be enlarged, imagined or chosen and the model cannot.
  void check(const PaintOptions& options) const;
  /// Throws out_of_memory where painting n pictures at once takes more memory than there is: says
  /// what would fit. paint() asks first. Returns true where it fits narrowly (pipeline/memory.h).
  bool check_memory(std::int64_t n, const PaintOptions& options) const;
  const DiffusionModel& model() const { return *model_; }
  /// How often on_step is called by paint(), and by noise_of(): what progress counts. Throws
  /// invalid_argument where a prior is needed that cannot be asked so.
  int steps(const std::vector<Order>& orders, const PaintOptions& options) const;
  int steps_of_noise(const Order& order, const PaintOptions& options) const;

 private:
  /// What both ways to paint need of the base model.
  struct Run {
    Subject subject;
    NoiseSource noise;
    Denoise denoise;
    std::function<void(const at::Tensor& clean)> on_step;  // with what the step predicts
    at::Tensor start = {};                                 // [n, c, h, w]; undefined: drawn
  };
  int denoising_steps(const PaintOptions& options) const;
  at::Tensor wanted_embeds(const std::vector<Order>& orders) const;
  std::vector<Image> best_of(const std::vector<Order>& orders, const PaintOptions& options) const;
  /// How many times as large pictures become; 1 where they are not enlarged.
  int enlargement(const PaintOptions& options) const;
  Preview preview(const at::Tensor& clean, int step, int steps) const;
  Run run_of(const std::vector<Order>& orders, const PaintOptions& options) const;
  std::vector<Image> painted(const std::vector<Order>& orders, const PaintOptions& options) const;
  at::Tensor enlarged(const at::Tensor& pictures, Run& run, const PaintOptions& options) const;
  at::Tensor from_noise(Run& run, const PaintOptions& options) const;
  at::Tensor from_guide(Run& run, const PaintOptions& options) const;
  at::Tensor refined(const at::Tensor& latents, Run& run, const PaintOptions& options) const;

  std::unique_ptr<DiffusionModel> model_, refiner_;
};

}  // namespace longhand
