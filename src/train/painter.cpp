// Trains a latent diffusion model on scenes: the UNet on kept latents, with what CLIP's text
// encoder (train/clip.cpp) reads in short and descriptive captions in a given share (Rombach et al.
// 2022; Betker et al. 2023, section 2).
#include "core/log.h"
#include "diffusion/noise_schedule.h"
#include "diffusion/sampler.h"
#include "models/checkpoint_files.h"
#include "models/clip_text.h"
#include "models/config.h"
#include "models/unet_2d_condition.h"
#include "nn/dtype.h"
#include "nn/pictures.h"
#include "pipeline/text_encoder.h"
#include "text/clip_tokenizer.h"
#include "train/captions.h"
#include "train/loader.h"
#include "train/ranks.h"
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
  explicit PainterRecipe(const Recipe& recipe)
      : unet(config_value(recipe.config, "unet", json::object())),
        scheduler(config_value(recipe.config, "scheduler", json::object())),
        text_encoder(
            config_value(recipe.config, "text_encoder", (recipe.model / "text_encoder").string())),
        latents(config_value(recipe.config, "latents", (recipe.out / "latents").string())),
        scenes(config_value<std::int64_t>(recipe.config, "scenes", 10000)),
        short_share(config_value(recipe.config, "short_share", 0.3)),
        drop_share(config_value(recipe.config, "drop_share", 0.1)),
        timestep_shift(config_value(recipe.config, "timestep_shift", 1.0)),
        guidance(config_value(recipe.config, "sample_guidance", 4.0)),
        sample_prompts(
            config_value<std::vector<std::string>>(recipe.config, "sample_prompts", {})) {}

  json unet, scheduler;
  fs::path text_encoder;  // a folder; the model gets a copy with the UNet that was trained on it
  fs::path latents;       // where they are kept
  std::int64_t scenes;
  double short_share, drop_share;
  double timestep_shift;  // over 1: more of the noisy timesteps, where what is pictured is decided
  double guidance;
  std::vector<std::string> sample_prompts;
};

constexpr int held_back_count = 64;

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
        text_weights_(Weights::mapped(weight_files(own.text_encoder, "model"), dtype_)),
        text_encoder_(text_weights_,
                      CLIPTextConfig::from_json(read_config(own.text_encoder / "config.json"))),
        vae_(load_autoencoder(recipe.model / "vae", dtype_)),
        world_(recipe.world),
        latents_(kept_latents(own.latents, *vae_, world_, recipe, own.scenes, dtype_)),
        held_back_(world_, recipe.seed, held_back_count),
        review_batch_(held_back_batch()),
        other_figures_(ids_of(held_back_.captions(true))) {}

  std::map<std::string, Tensor> parameters() const { return unet_weights_.parameters(); }

  /// This rank's part of a step's pictures, its captions in the recipe's mix, and its timesteps.
  Batch batch(std::int64_t step) const {
    Random random({recipe_.seed, 1, static_cast<std::uint64_t>(step)});
    std::vector<std::string> captions;
    const Tensor timesteps = at::empty({recipe_.batch}, at::kLong);
    std::vector<Tensor> latents;
    for (int i = 0; i < recipe_.batch; ++i) {
      const std::int64_t index = random.below(static_cast<int>(own_.scenes));
      const Scene scene = numbered_scene(world_, recipe_.seed, index);
      captions.push_back(random.chance(own_.drop_share)
                             ? ""
                             : drawn_caption(world_, scene, own_.short_share, random));
      latents.push_back(latents_[index]);
      timesteps.mutable_data_ptr<std::int64_t>()[i] =
          timestep((i + random.uniform()) / recipe_.batch);
    }
    const ranks::Part part = ranks::part_of(recipe_.batch);
    return {part.of(at::stack(latents)), part.of(ids_of(captions)), part.of(timesteps)};
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
      return loss_of({review_batch_.latents, ids, review_batch_.timesteps},
                     at::randn_like(review_batch_.latents, at::kFloat))
          .item<double>();
    };
    return {sample_sheet(),
            {{"loss", loss_with(review_batch_.ids)},
             {"loss_of_other_figures", loss_with(other_figures_)},
             {"loss_of_other_captions", loss_with(review_batch_.ids.roll(1, 0))}}};
  }

  double forward_backward(const Batch& batch) const {
    const Tensor loss = loss_of(batch, ranks::noise_like(batch.latents.to(at::kFloat)));
    loss.backward();
    return loss.item<double>();
  }

  void write_model(const Optimizer& optimizer) const {
    save_tensors(recipe_.model / "unet" / "diffusion_pytorch_model.safetensors",
                 optimizer.averaged(), at::kBFloat16);
    const auto write_config = [&](const char* file, json config) {
      write_file_atomically(recipe_.model / file, config.dump(2) + "\n");
    };
    write_config("unet/config.json", own_.unet);
    for (const char* file : {"config.json", "model.safetensors"}) {
      if (const fs::path into = recipe_.model / "text_encoder"; into != own_.text_encoder) {
        write_file_atomically(into / file, read_file(own_.text_encoder / file));
      }
    }
    write_config("scheduler/scheduler_config.json", own_.scheduler);
  }

 private:
  /// Held-back scenes with evenly spread timesteps.
  Batch held_back_batch() const {
    const int count = held_back_.count();
    const Tensor timesteps = at::empty({count}, at::kLong);
    for (int i = 0; i < count; ++i) {
      timesteps.mutable_data_ptr<std::int64_t>()[i] = timestep((i + 0.5) / count);
    }
    const Tensor latents = held_back_.latents(*vae_, recipe_.resolution, dtype_);
    return {latents, ids_of(held_back_.captions(false)), timesteps};
  }

  Tensor ids_of(const std::vector<std::string>& captions) const {
    return caption_ids(captions, text_encoder_.config(), ClipTokenizer::end_of_text);
  }
  Tensor text_states(const Tensor& ids) const {
    const c10::AutoGradMode no_grad(false);
    return text_encoder_.forward(ids).last_hidden_state;
  }

  std::optional<Image> sample_sheet() const {
    const auto count = static_cast<std::int64_t>(own_.sample_prompts.size());
    if (count == 0) {
      return std::nullopt;
    }
    const Tensor context = text_states(ids_of(own_.sample_prompts));
    const Tensor empty = text_states(ids_of({""})).expand_as(context);
    at::manual_seed(recipe_.seed);
    const Tensor noise = at::randn({count, latents_.size(1), latents_.size(2), latents_.size(3)});
    const UNetCondition condition{.context =
                                      own_.guidance > 1 ? at::cat({empty, context}) : context};
    const Denoise denoise = guided_denoise(
        [run = unet_.with(condition)](const Tensor& input, const Tensor& timesteps) mutable {
          return run.forward(input, timesteps);
        },
        own_.guidance, dtype_);
    const auto scheduler = make_scheduler("ddim", schedule_, 25);
    NoiseSource none({});  // DDIM draws none
    const Tensor latents = run_sampler(*scheduler, denoise, noise, none);
    const Tensor pictures =
        vae_->pictures_of(latents.to(dtype_).contiguous(at::MemoryFormat::ChannelsLast));
    std::vector<Image> images;
    for (std::int64_t i = 0; i < count; ++i) {
      images.push_back(tensor_to_picture(pictures[i]));
    }
    return contact_sheet(images, 6);
  }

  Tensor loss_of(const Batch& batch, const Tensor& noise) const {
    const Tensor latents = batch.latents.to(at::kFloat);
    const Tensor noisy = add_noise(cumulative_, latents, noise, batch.timesteps);
    const Tensor target = training_target(schedule_, cumulative_, latents, noise, batch.timesteps);
    const Tensor context = text_states(batch.ids);
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
  HeldBackScenes held_back_;
  Batch review_batch_;
  Tensor other_figures_;  // captions of the held-back scenes that name other things
};

}  // namespace

void train_painter(const Recipe& recipe) {
  const PainterRecipe own(recipe);
  const PainterTraining training(recipe, own);
  Optimizer optimizer(training.parameters(), recipe.optimizer, dtype_named(recipe.dtype));
  spdlog::info("painter: {:.2f} million parameters", optimizer.size() / 1e6);
  Loader<Batch> loader([&](std::int64_t step) { return training.batch(step); },
                       resumed_step(recipe));
  run_training(
      recipe, optimizer, [&](std::int64_t) { return training.forward_backward(loader.next()); },
      [&] { return training.review(); });
  if (ranks::rank() == 0) {
    training.write_model(optimizer);
  }
}

}  // namespace longhand
