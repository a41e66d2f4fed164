// Trains an AutoencoderTiny on pieces of scenes: reconstruction in differences at four scales, of
// brightness and, with more weight, of colour. The latents are kept small and a little noise is
// added to them, so that near latents decode to near pictures, as a denoiser needs.
#include "core/error.h"
#include "core/log.h"
#include "models/autoencoder_tiny.h"
#include "models/config.h"
#include "nn/dtype.h"
#include "nn/pictures.h"
#include "train/loader.h"
#include "train/ranks.h"
#include "train/recipe.h"
#include "train/training_run.h"
#include "world/world.h"

namespace longhand {
namespace {

using at::Tensor;

/// What an autoencoder's recipe says beyond any recipe.
struct AutoencoderRecipe {
  explicit AutoencoderRecipe(const nlohmann::json& config)
      : model(config_value(config, "config", nlohmann::json::object())),
        crop(config_value(config, "crop", 64)),
        latent_noise(config_value(config, "latent_noise", 0.1)),
        latent_weight(config_value(config, "latent_weight", 1e-3)),
        coarse_weight(config_value(config, "coarse_weight", 4.0)) {}

  nlohmann::json model;
  int crop;              // pixels a side; steps count for more than pixels
  double latent_noise;   // standard deviation
  double latent_weight;  // of the latents' mean square in the loss
  double coarse_weight;  // of squared differences at the coarse scales
};

/// A part of the step's batch of scenes, [count, 3, side, side]; side 0: whole pictures, else a
/// piece of each.
Tensor scenes(const World& world, const Recipe& recipe, std::int64_t step, ranks::Part part,
              int side, at::ScalarType dtype) {
  std::vector<Tensor> pictures;
  for (std::int64_t i = part.first; i < part.first + part.count; ++i) {
    Random random({recipe.seed, static_cast<std::uint64_t>(step * recipe.batch + i)});
    Tensor picture = picture_to_tensor(world.draw(world.sample(random), recipe.resolution));
    if (side > 0) {
      const int room = (recipe.resolution - side) / 8 + 1;
      picture =
          picture.narrow(1, random.below(room) * 8, side).narrow(2, random.below(room) * 8, side);
    }
    pictures.push_back(picture);
  }
  return at::stack(pictures).to(dtype).contiguous(at::MemoryFormat::ChannelsLast);
}

/// A whole batch of whole pictures.
Tensor whole_scenes(const World& world, const Recipe& recipe, std::int64_t step,
                    at::ScalarType dtype) {
  return scenes(world, recipe, step, {0, recipe.batch}, 0, dtype);
}

/// Brightness and the two colour differences (BT.601's, unscaled), the latter twice as heavy: in
/// red, green and blue a wrong hue of the right brightness costs too little, and small models leave
/// it grey.
Tensor opponent_colours(const Tensor& pictures) {
  const auto rgb = pictures.to(at::kFloat).unbind(1);
  const Tensor brightness = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
  return at::stack({brightness, 2 * (rgb[0] - brightness), 2 * (rgb[2] - brightness)}, 1);
}

/// Mean absolute difference of the steps from pixel to pixel: what makes edges sharp.
Tensor edge_difference(const Tensor& a, const Tensor& b) {
  const auto steps = [](const Tensor& x, int dim) { return x.diff(1, dim); };
  return (steps(a, 2) - steps(b, 2)).abs().mean() + (steps(a, 3) - steps(b, 3)).abs().mean();
}

Tensor reconstruction_loss(const Tensor& answer, const Tensor& pictures, double coarse_weight) {
  Tensor a = opponent_colours(answer), b = opponent_colours(pictures);
  Tensor loss = (a - b).abs().mean() + edge_difference(a, b);
  for (int scale = 0; scale < 3; ++scale) {
    a = at::avg_pool2d(a, {2, 2});
    b = at::avg_pool2d(b, {2, 2});
    loss = loss + (a - b).abs().mean() + coarse_weight * (a - b).square().mean() +
           0.25 * edge_difference(a, b);
  }
  return loss;
}

/// The scaling factor that gives the latents unit variance, from some scenes.
double measure_scaling(const AutoencoderTiny& model, const World& world, const Recipe& recipe,
                       at::ScalarType dtype) {
  const c10::AutoGradMode no_grad(false);
  std::vector<Tensor> latents;
  for (int i = 0; i < 32; ++i) {
    latents.push_back(model.encode(whole_scenes(world, recipe, (std::int64_t{1} << 40) + i, dtype))
                          .to(at::kFloat));
  }
  return 1.0 / at::cat(latents).std().item<double>();
}

/// Held-back scenes, each with what the autoencoder makes of it, and their mean PSNR.
Review review(const AutoencoderTiny& model, const World& world, const Recipe& recipe,
              at::ScalarType dtype) {
  const c10::AutoGradMode no_grad(false);
  const Tensor pictures = whole_scenes(world, recipe, std::int64_t{1} << 41, dtype);
  const Tensor answers = model.decode(model.encode(pictures));
  std::vector<Image> pairs;
  for (std::int64_t i = 0; i < pictures.size(0); ++i) {
    pairs.push_back(tensor_to_picture(pictures[i]));
    pairs.push_back(tensor_to_picture(answers[i]));
  }
  const Tensor errors = (answers.to(at::kFloat).clamp(-1, 1) - pictures.to(at::kFloat)).square();
  const Tensor psnr = 10 * (4 / errors.mean({1, 2, 3})).log10();
  return {contact_sheet(pairs, 8), {{"psnr", psnr.mean().item<double>()}}};
}

}  // namespace

void train_autoencoder(const Recipe& recipe) {
  const AutoencoderRecipe own(recipe.config);
  if (own.crop % 8 != 0 || own.crop < 8 || own.crop > recipe.resolution) {
    fail(Kind::corrupt, "crop is {}; expected a multiple of 8 up to the resolution, {}", own.crop,
         recipe.resolution);
  }
  Weights weights = Weights::fresh(recipe.seed);
  const AutoencoderTiny model(weights, AutoencoderTinyConfig::from_json(own.model));
  const at::ScalarType dtype = dtype_named(recipe.dtype);
  Optimizer optimizer(weights.parameters(), recipe.optimizer, dtype);
  spdlog::info("autoencoder: {:.2f} million parameters",
               static_cast<double>(optimizer.size()) / 1e6);

  const World world(recipe.world);
  Loader<Tensor> loader(
      [&, part = ranks::part_of(recipe.batch)](std::int64_t step) {
        return scenes(world, recipe, step, part, own.crop, dtype);
      },
      resumed_step(recipe));
  run_training(
      recipe, optimizer,
      [&](std::int64_t) {
        const Tensor pictures = loader.next();
        const Tensor latents = model.encode(pictures);
        const Tensor noisy = latents + own.latent_noise * ranks::noise_like(latents);
        const Tensor loss = reconstruction_loss(model.decode(noisy), pictures, own.coarse_weight) +
                            own.latent_weight * latents.to(at::kFloat).square().mean();
        loss.backward();
        return loss.item<double>();
      },
      [&] { return review(model, world, recipe, dtype); });

  if (ranks::rank() > 0) {
    return;
  }
  const Optimizer::UseAverage averaged(optimizer);
  nlohmann::json config = own.model;
  config["_class_name"] = "AutoencoderTiny";
  config["scaling_factor"] = measure_scaling(model, world, recipe, dtype);
  save_tensors(recipe.model / "vae" / "diffusion_pytorch_model.safetensors", optimizer.averaged(),
               at::kBFloat16);
  write_file_atomically(recipe.model / "vae" / "config.json", config.dump(2) + "\n");
}

}  // namespace longhand
