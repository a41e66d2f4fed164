// Trains a latent diffusion model on scenes: text encoder and UNet together, on kept latents, with
// short and descriptive captions in a given share (Rombach et al. 2022; Betker et al. 2023, section
// 2).
#include "pipeline/painter.h"
#include "core/log.h"
#include "diffusion/noise_schedule.h"
#include "models/clip_text.h"
#include "models/config.h"
#include "models/unet_2d_condition.h"
#include "nn/dtype.h"
#include "nn/pictures.h"
#include "pipeline/sampling.h"
#include "train/latents.h"
#include "train/loader.h"
#include "train/recipe.h"
#include "train/training_run.h"

namespace longhand {
namespace {

using at::Tensor;
using nlohmann::json;

struct Batch {
  Tensor latents;    // [batch, channels, h, w]
  Tensor ids;        // [batch, length]
  Tensor timesteps;  // [batch]
};

/// What a painter's recipe says beyond any recipe.
struct PainterRecipe {
  explicit PainterRecipe(const json& config)
      : unet(config_value(config, "unet", json::object())),
        text_encoder(config_value(config, "text_encoder", json::object())),
        scheduler(config_value(config, "scheduler", json::object())),
        scenes(config_value<std::int64_t>(config, "scenes", 10000)),
        short_share(config_value(config, "short_share", 0.3)),
        drop_share(config_value(config, "drop_share", 0.1)),
        timestep_shift(config_value(config, "timestep_shift", 1.0)),
        guidance(config_value(config, "sample_guidance", 4.0)),
        sample_prompts(config_value<std::vector<std::string>>(config, "sample_prompts", {})) {}

  json unet, text_encoder, scheduler;
  std::int64_t scenes;
  double short_share, drop_share;
  double timestep_shift;  // over 1: more of the noisy timesteps, where what is pictured is decided
  double guidance;
  std::vector<std::string> sample_prompts;
};

class PainterTraining {
 public:
  PainterTraining(const Recipe& recipe, const PainterRecipe& own)
      : recipe_(recipe),
        own_(own),
        dtype_(dtype_named(recipe.dtype)),
        schedule_(SchedulerConfig::from_json(own.scheduler)),
        cumulative_(alphas_cumprod(schedule_)),
        unet_weights_(Weights::fresh(recipe.seed)),
        unet_(unet_weights_, UNet2DConditionConfig::from_json(own.unet)),
        text_weights_(Weights::fresh(recipe.seed + 1)),
        text_encoder_(text_weights_, CLIPTextConfig::from_json(own.text_encoder)),
        vae_(load_autoencoder(recipe.model / "vae", dtype_)),
        latents_(kept_latents(recipe.out / "latents", *vae_, world_, recipe.seed, own.scenes,
                              recipe.resolution, dtype_)),
        held_back_(held_back_batch()) {
    other_figures_ = caption_ids(held_back_captions(true), text_encoder_.config());
  }

  std::map<std::string, Tensor> parameters() const {
    std::map<std::string, Tensor> all;
    for (const auto& [name, tensor] : unet_weights_.parameters()) {
      all["unet." + name] = tensor;
    }
    for (const auto& [name, tensor] : text_weights_.parameters()) {
      all["text_encoder." + name] = tensor;
    }
    return all;
  }

  /// The pictures of a step, its captions in the recipe's mix, and its timesteps.
  Batch batch(std::int64_t step) const {
    Random random({recipe_.seed, 1, static_cast<std::uint64_t>(step)});
    std::vector<std::string> captions;
    Batch batch{at::empty({0}), {}, at::empty({recipe_.batch}, at::kLong)};
    std::vector<Tensor> latents;
    for (int i = 0; i < recipe_.batch; ++i) {
      const std::int64_t index = random.below(static_cast<int>(own_.scenes));
      const Scene scene = numbered_scene(world_, recipe_.seed, index);
      if (random.chance(own_.drop_share)) {
        captions.emplace_back();
      } else if (random.chance(own_.short_share)) {
        captions.push_back(world_.short_caption(scene, random));
      } else {
        captions.push_back(world_.descriptive_caption(scene, random));
      }
      latents.push_back(latents_[index]);
      batch.timesteps.mutable_data_ptr<std::int64_t>()[i] =
          timestep((i + random.uniform()) / recipe_.batch);
    }
    batch.latents = at::stack(latents);
    batch.ids = caption_ids(captions, text_encoder_.config());
    return batch;
  }

  /// A training timestep for a uniform draw in 0…1, shifted as in Esser et al. 2024, equation 23.
  /// Draws are stratified over the batch: the same mean as independent ones, less noise in the
  /// loss.
  std::int64_t timestep(double uniform) const {
    const double shifted =
        own_.timestep_shift * uniform / (1 + (own_.timestep_shift - 1) * uniform);
    return std::min<std::int64_t>(
        schedule_.num_train_timesteps - 1,
        static_cast<std::int64_t>(shifted * schedule_.num_train_timesteps));
  }

  /// Sample pictures, and losses on scenes that are not trained on: with their captions, with
  /// captions that name other things and colours, and with another scene's. The differences are
  /// what the words tell the painter.
  Review review() const {
    const c10::AutoGradMode no_grad(false);
    const auto loss_with = [&](const Tensor& ids) {
      at::manual_seed(recipe_.seed);
      return loss_of({held_back_.latents, ids, held_back_.timesteps}).item<double>();
    };
    return {sample_sheet(),
            {{"loss", loss_with(held_back_.ids)},
             {"loss_of_other_figures", loss_with(other_figures_)},
             {"loss_of_other_captions", loss_with(held_back_.ids.roll(1, 0))}}};
  }

  double forward_backward(const Batch& batch) const {
    const Tensor loss = loss_of(batch);
    loss.backward();
    return loss.item<double>();
  }

  void write_model(const Optimizer& optimizer) const {
    std::map<std::string, Tensor> unet, text;
    for (const auto& [name, tensor] : optimizer.averaged()) {
      if (name.starts_with("unet.")) {
        unet[name.substr(5)] = tensor;
      } else {
        text[name.substr(13)] = tensor;
      }
    }
    save_tensors(recipe_.model / "unet" / "diffusion_pytorch_model.safetensors", unet,
                 at::kBFloat16);
    save_tensors(recipe_.model / "text_encoder" / "model.safetensors", text, at::kBFloat16);
    const auto write_config = [&](const char* file, json config) {
      write_file_atomically(recipe_.model / file, config.dump(2) + "\n");
    };
    write_config("unet/config.json", own_.unet);
    write_config("text_encoder/config.json", own_.text_encoder);
    write_config("scheduler/scheduler_config.json", own_.scheduler);
  }

 private:
  static constexpr int held_back_count = 64;
  Scene held_back_scene(int number) const {
    return numbered_scene(world_, recipe_.seed + 1, number % held_back_count);
  }

  /// Descriptive captions of the held-back scenes; with others: as if each showed the next scene's
  /// first thing and colour.
  std::vector<std::string> held_back_captions(bool others) const {
    std::vector<std::string> captions;
    for (int i = 0; i < held_back_count; ++i) {
      Scene scene = held_back_scene(i);
      if (others) {
        const Figure other = held_back_scene(i + 1).figures[0];
        scene.figures[0].thing = other.thing;
        scene.figures[0].colour = other.colour;
      }
      Random random({recipe_.seed + 1, static_cast<std::uint64_t>(i)});
      captions.push_back(world_.descriptive_caption(scene, random));
    }
    return captions;
  }

  /// Scenes of another seed with evenly spread timesteps.
  Batch held_back_batch() const {
    std::vector<Tensor> pictures;
    const Tensor timesteps = at::empty({held_back_count}, at::kLong);
    for (int i = 0; i < held_back_count; ++i) {
      pictures.push_back(picture_to_tensor(world_.draw(held_back_scene(i), recipe_.resolution)));
      timesteps.mutable_data_ptr<std::int64_t>()[i] = timestep((i + 0.5) / held_back_count);
    }
    const Tensor latents =
        vae_->latents_of(at::stack(pictures).to(dtype_).contiguous(at::MemoryFormat::ChannelsLast));
    return {latents, caption_ids(held_back_captions(false), text_encoder_.config()), timesteps};
  }

  Image sample_sheet() const {
    const auto count = static_cast<std::int64_t>(own_.sample_prompts.size());
    if (count == 0) {
      return contact_sheet({}, 1);
    }
    const Tensor context =
        text_encoder_.forward(caption_ids(own_.sample_prompts, text_encoder_.config()))
            .last_hidden_state;
    const Tensor empty = text_encoder_.forward(caption_ids({""}, text_encoder_.config()))
                             .last_hidden_state.expand_as(context);
    at::manual_seed(recipe_.seed);
    const Tensor noise = at::randn({count, latents_.size(1), latents_.size(2), latents_.size(3)});
    const SamplingOptions options{"ddim", 25, own_.guidance, {}};
    NoiseSource none({});  // DDIM draws none
    const Tensor latents = sample_latents(unet_, schedule_, options, noise, none, context, empty);
    const Tensor pictures =
        vae_->pictures_of(latents.to(dtype_).contiguous(at::MemoryFormat::ChannelsLast));
    std::vector<Image> images;
    for (std::int64_t i = 0; i < count; ++i) {
      images.push_back(tensor_to_picture(pictures[i]));
    }
    return contact_sheet(images, 6);
  }

  Tensor loss_of(const Batch& batch) const {
    const Tensor latents = batch.latents.to(at::kFloat);
    const Tensor noise = at::randn_like(latents);
    const Tensor noisy = add_noise(cumulative_, latents, noise, batch.timesteps);
    const Tensor target = training_target(schedule_, cumulative_, latents, noise, batch.timesteps);
    const Tensor context = text_encoder_.forward(batch.ids).last_hidden_state;
    const Tensor answer = unet_.forward(noisy.to(dtype_), batch.timesteps, {.context = context});
    return at::mse_loss(answer.to(at::kFloat), target);
  }

  const Recipe& recipe_;
  const PainterRecipe& own_;
  at::ScalarType dtype_;
  SchedulerConfig schedule_;
  Tensor cumulative_;
  Weights unet_weights_;
  UNet2DConditionModel unet_;
  Weights text_weights_;
  CLIPTextModel text_encoder_;
  std::unique_ptr<Autoencoder> vae_;
  World world_;
  Tensor latents_;  // of the scenes that are trained on
  Batch held_back_;
  Tensor other_figures_;  // captions of the held-back scenes that name other things
};

}  // namespace

void train_painter(const Recipe& recipe) {
  const PainterRecipe own(recipe.config);
  const PainterTraining training(recipe, own);
  Optimizer optimizer(training.parameters(), recipe.optimizer, dtype_named(recipe.dtype));
  spdlog::info("painter: {:.2f} million parameters", optimizer.size() / 1e6);
  Loader<Batch> loader([&](std::int64_t step) { return training.batch(step); },
                       resumed_step(recipe));
  run_training(
      recipe, optimizer, [&](std::int64_t) { return training.forward_backward(loader.next()); },
      [&] { return training.review(); });
  training.write_model(optimizer);
}

}  // namespace longhand
