// Trains an AutoencoderKL on scenes: reconstruction in absolute differences at three scales, and a small
// pull of the latents towards a standard normal (Rombach et al. 2022, without the adversary).
#include "core/log.h"
#include "models/autoencoder_kl.h"
#include "models/config.h"
#include "nn/dtype.h"
#include "nn/pictures.h"
#include "train/loader.h"
#include "train/recipe.h"
#include "train/training_run.h"
#include "world/world.h"

namespace longhand {
namespace {

using at::Tensor;

Tensor scenes(const World& world, const Recipe& recipe, std::int64_t step, at::ScalarType dtype) {
  std::vector<Tensor> pictures;
  for (int i = 0; i < recipe.batch; ++i) {
    Random random({recipe.seed, static_cast<std::uint64_t>(step * recipe.batch + i)});
    pictures.push_back(picture_to_tensor(world.draw(world.sample(random), recipe.resolution)));
  }
  return at::stack(pictures).to(dtype).contiguous(at::MemoryFormat::ChannelsLast);
}

/// Mean absolute difference of the pictures and of their steps from pixel to pixel: the latter is what
/// makes edges sharp.
Tensor difference(const Tensor& a, const Tensor& b) {
  const auto steps = [](const Tensor& x, int dim) { return x.diff(1, dim); };
  return (a - b).abs().mean() + (steps(a, 2) - steps(b, 2)).abs().mean() +
         (steps(a, 3) - steps(b, 3)).abs().mean();
}

Tensor reconstruction_loss(const Tensor& answer, const Tensor& pictures) {
  Tensor a = answer.to(at::kFloat), b = pictures.to(at::kFloat);
  Tensor loss = difference(a, b);
  for (int scale = 0; scale < 2; ++scale) {
    a = at::avg_pool2d(a, {2, 2});
    b = at::avg_pool2d(b, {2, 2});
    loss = loss + 0.5 * difference(a, b);
  }
  return loss;
}

Tensor divergence(const Tensor& mean, const Tensor& log_variance) {
  return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean();
}

/// The scaling factor that gives the latents unit variance, from some scenes.
double measure_scaling(const AutoencoderKL& model, const World& world, const Recipe& recipe,
                       at::ScalarType dtype) {
  const c10::AutoGradMode no_grad(false);
  std::vector<Tensor> latents;
  for (int i = 0; i < 32; ++i) {
    latents.push_back(model.encode(scenes(world, recipe, (std::int64_t{1} << 40) + i, dtype))
                          .first.to(at::kFloat));
  }
  return 1.0 / at::cat(latents).std().item<double>();
}

}  // namespace

void train_autoencoder(const Recipe& recipe) {
  const auto config_json = config_value(recipe.config, "config", nlohmann::json::object());
  const double kl_weight = config_value(recipe.config, "kl_weight", 5e-4);
  Weights weights = Weights::fresh(recipe.seed);
  const AutoencoderKL model(weights, AutoencoderKLConfig::from_json(config_json));
  const at::ScalarType dtype = dtype_named(recipe.dtype);
  Optimizer optimizer(weights.taken(), recipe.optimizer, dtype);
  spdlog::info("autoencoder: {:.2f} million parameters", optimizer.size() / 1e6);

  const World world;
  Loader<Tensor> loader(
      [&](std::int64_t step) { return scenes(world, recipe, step, dtype); }, resumed_step(recipe));
  run_training(
      recipe, optimizer,
      [&](std::int64_t) {
        const Tensor pictures = loader.next();
        const auto [mean, log_variance] = model.encode(pictures);
        const Tensor m = mean.to(at::kFloat), v = log_variance.to(at::kFloat);
        const Tensor latents = (m + (0.5 * v).exp() * at::randn_like(m)).to(dtype);
        const Tensor loss =
            reconstruction_loss(model.decode(latents), pictures) + kl_weight * divergence(m, v);
        loss.backward();
        return loss.item<double>();
      },
      [&] {
        const c10::AutoGradMode no_grad(false);
        const Tensor pictures = scenes(world, recipe, std::int64_t{1} << 41, dtype);
        const Tensor answers = model.decode(model.encode(pictures).first);
        std::vector<Image> pairs;
        for (std::int64_t i = 0; i < std::min<std::int64_t>(8, pictures.size(0)); ++i) {
          pairs.push_back(tensor_to_picture(pictures[i]));
          pairs.push_back(tensor_to_picture(answers[i]));
        }
        return contact_sheet(pairs, 4);
      });

  const Optimizer::UseAverage averaged(optimizer);
  nlohmann::json config = config_json;
  config["_class_name"] = "AutoencoderKL";
  config["scaling_factor"] = measure_scaling(model, world, recipe, dtype);
  config["sample_size"] = recipe.resolution;
  save_tensors(recipe.model / "vae" / "diffusion_pytorch_model.safetensors", optimizer.averaged(),
               at::kBFloat16);
  write_file_atomically(recipe.model / "vae" / "config.json", config.dump(2) + "\n");
}

}  // namespace longhand
