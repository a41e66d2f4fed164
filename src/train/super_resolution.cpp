// Trains super-resolution on pieces of scenes (Ramesh et al. 2022, section 2.1): a noisy piece of
// the large picture, beside it the small picture enlarged → the piece without noise. Small pictures
// are those that the autoencoder makes of noisy latents, so that what painted pictures get wrong is
// put right.
#include "pipeline/super_resolution.h"
#include "core/error.h"
#include "diffusion/noise_schedule.h"
#include "models/autoencoder.h"
#include "models/config.h"
#include "nn/dtype.h"
#include "nn/pictures.h"
#include "train/learning.h"
#include "train/ranks.h"
#include "train/recipe.h"
#include "world/world.h"

namespace longhand {
namespace {

using at::Tensor;
using nlohmann::json;

constexpr int held_back_count = 6;
constexpr std::int64_t unit = 8;  // pieces begin at multiples of it in the large picture

struct Batch {
  Tensor pictures, given;  // [batch, 3, crop, crop]: large ones, and small ones enlarged
  Tensor timesteps;        // [batch]
};

class SuperResolutionTraining {
 public:
  explicit SuperResolutionTraining(const Recipe& recipe)
      : recipe_(recipe),
        config_(config_value(recipe.config, "unet", json::object())),
        scheduler_(config_value(recipe.config, "scheduler", json::object())),
        crop_(config_value<std::int64_t>(recipe.config, "crop", 64)),
        crops_(config_value(recipe.config, "crops_of_a_scene", 4)),
        latent_noise_(config_value(recipe.config, "latent_noise", 0.3)),
        dtype_(dtype_named(recipe.dtype)),
        schedule_(unclip_schedule(scheduler_)),
        cumulative_(alphas_cumprod(schedule_)),
        weights_(Weights::fresh(recipe.seed)),
        unet_(weights_, UNet2DConfig::from_json(config_)),
        vae_(load_autoencoder(recipe.model / "vae", dtype_)),
        world_(recipe.world) {
    if (crop_ % unit != 0 || crop_ < unit || crop_ > recipe.resolution ||
        recipe.batch % crops_ != 0) {
      fail(Kind::corrupt,
           "\"crop\" is {} and \"crops_of_a_scene\" {}; expected a multiple of {} up to the "
           "resolution, {}, and a divisor of the batch, {}",
           crop_, crops_, unit, recipe.resolution, recipe.batch);
    }
    if (schedule_.prediction_type != "sample") {
      fail(Kind::corrupt,
           "super-resolution is trained with \"prediction_type\": \"sample\", not {}",
           schedule_.prediction_type);
    }
  }

  std::map<std::string, Tensor> parameters() const { return weights_.parameters(); }

  Batch batch(std::int64_t step) const {
    const c10::AutoGradMode no_grad(false);
    Random random({recipe_.seed, 7, static_cast<std::uint64_t>(step)});
    std::vector<Tensor> pictures, given;
    std::vector<std::int64_t> timesteps;
    while (static_cast<int>(timesteps.size()) < recipe_.batch) {
      const Pair pair = pair_of(world_.sample(random), latent_noise_ * random.uniform(), random);
      for (int i = 0; i < crops_; ++i) {
        const auto places = static_cast<int>((recipe_.resolution - crop_) / unit + 1);
        const std::int64_t top = unit * random.below(places), left = unit * random.below(places);
        const auto piece = [&](const Tensor& whole) {
          return whole[0].narrow(1, top, crop_).narrow(2, left, crop_);
        };
        pictures.push_back(piece(pair.picture));
        given.push_back(piece(pair.given));
        timesteps.push_back(random.below(schedule_.num_train_timesteps));
      }
    }
    const ranks::Part part = ranks::part_of(recipe_.batch);
    return {part.of(at::stack(pictures)), part.of(at::stack(given)),
            part.of(at::tensor(timesteps, at::kLong))};
  }

  double forward_backward(const Batch& batch) const {
    const Tensor noise = ranks::noise_like(batch.pictures);
    const Tensor noisy = add_noise(cumulative_, batch.pictures, noise, batch.timesteps);
    const Tensor input =
        at::cat({noisy, batch.given}, 1).to(dtype_).contiguous(at::MemoryFormat::ChannelsLast);
    const Tensor loss =
        at::mse_loss(unet_.forward(input, batch.timesteps).to(at::kFloat), batch.pictures);
    loss.backward();
    return loss.item<double>();
  }

  /// Held-back scenes: enlarged, by the model, and as they are; the PSNR of the first two.
  Review review() const {
    const c10::AutoGradMode no_grad(false);
    std::vector<Image> sheet;
    double plain = 0, own = 0;
    for (int i = 0; i < held_back_count; ++i) {
      Random random({recipe_.seed + 1, 7, static_cast<std::uint64_t>(i)});
      const Pair pair = pair_of(world_.sample(random), 0, random);
      NoiseSource noise({i});
      const Tensor answer = super_resolved(
          unet_, unet_, schedule_, SuperResolution::steps,
          pair.given.to(dtype_).contiguous(at::MemoryFormat::ChannelsLast), noise, {});
      plain += psnr(pair.given, pair.picture) / held_back_count;
      own += psnr(answer, pair.picture) / held_back_count;
      for (const Tensor* picture : {&pair.given, &answer, &pair.picture}) {
        sheet.push_back(tensor_to_picture((*picture)[0]));
      }
    }
    return {contact_sheet(sheet, 6), {{"psnr", own}, {"psnr_of_bicubic", plain}}};
  }

  void write_model(const Optimizer& optimizer, const fs::path& model) const {
    save_tensors(model / "super_res" / "diffusion_pytorch_model.safetensors", optimizer.averaged(),
                 at::kBFloat16);
    write_file_atomically(model / "super_res" / "config.json", config_.dump(2) + "\n");
    write_file_atomically(model / "super_res_scheduler" / "scheduler_config.json",
                          scheduler_.dump(2) + "\n");
  }

 private:
  /// A scene [1, 3, side, side], and what is given of it: half as large, as the autoencoder makes
  /// it of latents with noise of this standard deviation, enlarged again.
  struct Pair {
    Tensor picture, given;
  };
  Pair pair_of(const Scene& scene, double latent_noise, Random& random) const {
    const std::int64_t side = recipe_.resolution;
    const Tensor picture =
        picture_to_tensor(world_.draw(scene, recipe_.resolution)).unsqueeze(0).to(at::kFloat);
    const Tensor small =
        at::avg_pool2d(picture, {2, 2}).to(dtype_).contiguous(at::MemoryFormat::ChannelsLast);
    Tensor latents = vae_->latents_of(small).to(at::kFloat);
    NoiseSource noise({static_cast<std::int64_t>(random.below(1 << 30))});
    latents = latents + latent_noise * noise.draw(latents.sizes());
    const Tensor painted =
        vae_->pictures_of(latents.to(dtype_).contiguous(at::MemoryFormat::ChannelsLast));
    return {picture, resized(painted.clamp(-1, 1), side, side)};
  }

  static double psnr(const Tensor& answer, const Tensor& picture) {
    return (10 * (4 / (answer.clamp(-1, 1) - picture).square().mean()).log10()).item<double>();
  }

  const Recipe& recipe_;
  json config_, scheduler_;
  std::int64_t crop_;
  int crops_;            // pieces of one scene in a batch
  double latent_noise_;  // the largest standard deviation
  at::ScalarType dtype_;
  SchedulerConfig schedule_;
  Tensor cumulative_;
  Weights weights_;
  UNet2DModel unet_;
  std::unique_ptr<Autoencoder> vae_;
  World world_;
};

}  // namespace

void train_super_resolution(const Recipe& recipe) {
  learn<SuperResolutionTraining>(recipe, "super-resolution");
}

}  // namespace longhand
