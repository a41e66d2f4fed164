// Trains an AutoencoderTiny or an AutoencoderKL on pieces of scenes: reconstruction in differences
// at four scales, of brightness and, with more weight, of colour. The latents are kept small and a
// little noise is added to them, so that near latents decode to near pictures, as a denoiser needs.
// Or its decoder alone, for latents that stay as they are, as Stability AI's sd-vae-ft-mse was
// made: what was trained on the latents need not be trained again.
#include <algorithm>
#include <cmath>
#include <memory>

#include "core/error.h"
#include "models/autoencoder.h"
#include "models/checkpoint_files.h"
#include "models/config.h"
#include "nn/pictures.h"
#include "train/learning.h"
#include "world/world.h"

namespace longhand {
namespace {

using at::Tensor;

/// What an autoencoder's recipe says beyond any recipe.
struct AutoencoderRecipe {
  explicit AutoencoderRecipe(const nlohmann::json& config)
      : model(config_value(config, "config", nlohmann::json::object())),
        start(config_value<std::string>(config, "start", "")),
        encoder(config_value<std::string>(config, "encoder", "")),
        crop(config_value(config, "crop", 64)),
        latent_noise(config_value(config, "latent_noise", 0.1)),
        latent_weight(config_value(config, "latent_weight", 1e-3)),
        coarse_weight(config_value(config, "coarse_weight", 4.0)) {
    model.emplace("_class_name", "AutoencoderKL");  // as make_autoencoder() takes it
  }

  nlohmann::json model;
  fs::path start;        // weights to go on from; "": none
  fs::path encoder;      // an autoencoder's folder whose encoder is kept; "": both are trained
  int crop;              // pixels a side; steps count for more than pixels
  double latent_noise;   // standard deviation
  double latent_weight;  // of the latents' mean square in the loss
  double coarse_weight;  // of squared differences at the coarse scales
};

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

bool of_encoder(const std::string& name) { return name.starts_with("encoder."); }

/// Training sees latents as the encoder makes them; the scale is measured at the end.
nlohmann::json unscaled(nlohmann::json config) {
  config["scaling_factor"] = 1.0;
  return config;
}

/// An autoencoder whose encoder is kept.
struct KeptEncoder {
  explicit KeptEncoder(const fs::path& folder, at::ScalarType dtype)
      : config(read_config(folder / "config.json")) {
    const auto files = weight_files(folder, "diffusion_pytorch_model");
    weights = Weights::mapped(files, dtype);
    model = make_autoencoder(unscaled(config), weights, folder.string());
    for (const fs::path& file : files) {
      tensors.merge(load_tensors(file));
    }
    std::erase_if(tensors, [](const auto& each) { return !of_encoder(each.first); });
  }

  nlohmann::json config;
  Weights weights = Weights::shapes();
  std::unique_ptr<const Autoencoder> model;
  TensorMap tensors;  // the encoder's, by name
};

class AutoencoderTraining {
 public:
  explicit AutoencoderTraining(const Recipe& recipe)
      : recipe_(recipe),
        own_(recipe.config),
        dtype_(dtype_named(recipe.dtype)),
        kept_(own_.encoder.empty() ? nullptr
                                   : std::make_unique<const KeptEncoder>(own_.encoder, dtype_)),
        world_(recipe.world),
        weights_(Weights::fresh(recipe.seed)),
        model_(make_autoencoder(unscaled(own_.model), weights_, "the recipe's config")) {
    check_encoder();
    if (!own_.start.empty()) {
      weights_.start_from(own_.start);
    }
    fix_variance();
    if (own_.crop % 8 != 0 || own_.crop < 8 || own_.crop > recipe.resolution) {
      fail(Kind::corrupt, "crop is {}; expected a multiple of 8 up to the resolution, {}",
           own_.crop, recipe.resolution);
    }
  }

  TensorMap parameters() const {
    TensorMap trained = weights_.parameters();
    std::erase_if(trained, [&](const auto& each) { return kept_ && of_encoder(each.first); });
    return trained;
  }

  /// This rank's part of a step's pieces.
  Tensor batch(std::int64_t step) const {
    return scenes(step, ranks::part_of(recipe_.batch), own_.crop);
  }

  double forward_backward(const Tensor& pictures) const {
    const Tensor latents = encode(pictures);
    const Tensor noisy = latents + own_.latent_noise * ranks::noise_like(latents);
    Tensor loss = reconstruction_loss(model_->pictures_of(noisy), pictures, own_.coarse_weight);
    if (!kept_) {
      loss = loss + own_.latent_weight * latents.to(at::kFloat).square().mean();
    }
    loss.backward();
    return loss.item<double>();
  }

  /// Held-back scenes, each with what the autoencoder makes of it, and their mean PSNR.
  Review review() const {
    const c10::AutoGradMode no_grad(false);
    const Tensor pictures = whole_scenes(std::int64_t{1} << 41);
    const Tensor answers = model_->pictures_of(encode(pictures));
    std::vector<Image> pairs;
    for (std::int64_t i = 0; i < pictures.size(0); ++i) {
      pairs.push_back(tensor_to_picture(pictures[i]));
      pairs.push_back(tensor_to_picture(answers[i]));
    }
    const Tensor errors = (answers.to(at::kFloat).clamp(-1, 1) - pictures.to(at::kFloat)).square();
    const Tensor psnr = 10 * (4 / errors.mean({1, 2, 3})).log10();
    return {contact_sheet(pairs, 8), {{"psnr", psnr.mean().item<double>()}}};
  }

  void write_model(Optimizer& optimizer, const fs::path& model) const {
    nlohmann::json config = own_.model;
    TensorMap tensors = optimizer.averaged();
    if (kept_) {
      config["scaling_factor"] = kept_->config.at("scaling_factor");
      tensors.insert(kept_->tensors.begin(), kept_->tensors.end());
    } else {
      const Optimizer::UseAverage averaged(optimizer);
      config["scaling_factor"] = measure_scaling();
    }
    save_tensors(model / "vae" / "diffusion_pytorch_model.safetensors", tensors, at::kBFloat16);
    write_file_atomically(model / "vae" / "config.json", config.dump(2) + "\n");
  }

 private:
  /// A kept encoder is that of the recipe's config.
  void check_encoder() const {
    for (const auto& [name, tensor] : kept_ ? weights_.parameters() : TensorMap()) {
      const auto kept = kept_->tensors.find(name);
      if (of_encoder(name) &&
          (kept == kept_->tensors.end() || kept->second.sizes() != tensor.sizes())) {
        fail(Kind::corrupt, "{}: its encoder is not that of the recipe's config ({})",
             own_.encoder.string(), name);
      }
    }
  }

  /// AutoencoderKL's encoder also answers with its latents' log-variance: not learnt, but that of
  /// the noise that they are trained with.
  void fix_variance() {
    if (kept_ || own_.model.at("_class_name") != "AutoencoderKL") {
      return;
    }
    if (config_value(own_.model, "use_quant_conv", true)) {
      fail(Kind::corrupt, "an AutoencoderKL is trained with \"use_quant_conv\": false");
    }
    const c10::AutoGradMode no_grad(false);
    const auto log_variance_of = [&](const char* name) {
      return weights_.parameters().at(name).chunk(2, 0)[1];
    };
    log_variance_of("encoder.conv_out.weight").zero_();
    log_variance_of("encoder.conv_out.bias")
        .fill_(std::max(-30.0, 2 * std::log(own_.latent_noise)));
  }

  Tensor encode(const Tensor& pictures) const {
    if (!kept_) {
      return model_->latents_of(pictures);
    }
    const c10::AutoGradMode no_grad(false);
    return kept_->model->latents_of(pictures);
  }

  /// A part of the step's batch of scenes, [count, 3, side, side]; side 0: whole pictures, else a
  /// piece of each.
  Tensor scenes(std::int64_t step, ranks::Part part, int side) const {
    std::vector<Tensor> pictures;
    for (std::int64_t i = part.first; i < part.first + part.count; ++i) {
      Random random({recipe_.seed, static_cast<std::uint64_t>(step * recipe_.batch + i)});
      Tensor picture = picture_to_tensor(world_.draw(world_.sample(random), recipe_.resolution));
      if (side > 0) {
        const int room = (recipe_.resolution - side) / 8 + 1;
        picture =
            picture.narrow(1, random.below(room) * 8, side).narrow(2, random.below(room) * 8, side);
      }
      pictures.push_back(picture);
    }
    return at::stack(pictures).to(dtype_).contiguous(at::MemoryFormat::ChannelsLast);
  }

  /// A whole batch of whole pictures.
  Tensor whole_scenes(std::int64_t step) const { return scenes(step, {0, recipe_.batch}, 0); }

  /// The scaling factor that gives the latents unit variance, from some scenes.
  double measure_scaling() const {
    const c10::AutoGradMode no_grad(false);
    std::vector<Tensor> latents;
    for (int i = 0; i < 32; ++i) {
      latents.push_back(
          model_->latents_of(whole_scenes((std::int64_t{1} << 40) + i)).to(at::kFloat));
    }
    return 1.0 / at::cat(latents).std().item<double>();
  }

  const Recipe& recipe_;
  AutoencoderRecipe own_;
  at::ScalarType dtype_;
  std::unique_ptr<const KeptEncoder> kept_;
  World world_;
  Weights weights_;
  std::unique_ptr<const Autoencoder> model_;
};

}  // namespace

void train_autoencoder(const Recipe& recipe) { learn<AutoencoderTraining>(recipe, "autoencoder"); }

}  // namespace longhand
