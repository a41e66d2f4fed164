// Trains a latent diffusion model on scenes: the UNet on kept latents, with what CLIP
// (train/clip.cpp) reads in short and descriptive captions in a given share (Rombach et al. 2022;
// Betker et al. 2023, section 2). As in SDXL, the text's states are attended to and its embedding
// is added to the timestep's (Podell et al. 2023); in its place, and as a token of the context,
// some pictures are painted after their own embedding in the same space, with the text or without,
// as unCLIP's decoder is (Ramesh et al. 2022, section 2.1).
#include "core/error.h"
#include "diffusion/noise_schedule.h"
#include "diffusion/sampler.h"
#include "models/config.h"
#include "models/picture_token.h"
#include "models/unet_2d_condition.h"
#include "nn/dtype.h"
#include "nn/pictures.h"
#include "train/captions.h"
#include "train/learning.h"
#include "train/ranks.h"
#include "train/recipe.h"
#include "train/trained_clip.h"

namespace longhand {
namespace {

using at::Tensor;
using nlohmann::json;

/// What of a picture the painter is told: its caption's states, its caption's embedding or its own
/// embedding; what is not told is zeros. With none, it learns what guidance leads away from.
struct Told {
  bool states, text_embed, image_embed;
};

struct Batch {
  Tensor latents;       // [batch, channels, h, w]
  Tensor ids;           // [batch, length]
  Tensor image_embeds;  // [batch, projection_dim]
  Tensor told;          // [batch, 3], 1 or 0: Told
  Tensor timesteps;     // [batch]
};

/// What a painter's recipe says beyond any recipe.
struct PainterRecipe {
  explicit PainterRecipe(const Recipe& recipe)
      : unet(config_value(recipe.config, "unet", json::object())),
        scheduler(config_value(recipe.config, "scheduler", json::object())),
        clip(config_value<std::string>(recipe.config, "clip", "")),
        latents(config_value(recipe.config, "latents", (recipe.out / "latents").string())),
        start(config_value<std::string>(recipe.config, "start", "")),
        learnt_anew(config_value<std::vector<std::string>>(recipe.config, "learnt_anew", {})),
        scenes(config_value<std::int64_t>(recipe.config, "scenes", 10000)),
        drop_share(config_value(recipe.config, "drop_share", 0.1)),
        image_share(config_value(recipe.config, "image_share", 0.3)),
        single_share(config_value(recipe.config, "single_share", 0.0)),
        timestep_shift(config_value(recipe.config, "timestep_shift", 1.0)),
        guidance(config_value(recipe.config, "sample_guidance", 4.0)),
        sample_prompts(
            config_value<std::vector<std::string>>(recipe.config, "sample_prompts", {})) {}

  json unet, scheduler;
  fs::path clip;     // its run's folder; the model gets a copy of its encoders
  fs::path latents;  // where they are kept
  fs::path start;    // the UNet's weights to go on from; "": none
  std::vector<std::string>
      learnt_anew;  // parts of names, as "attn2.": weights not taken from there
  std::int64_t scenes;
  double drop_share;  // of pictures that nothing is told of
  double
      image_share;  // of the others: those whose own embedding is told, half of them without text
  double single_share;  // of pictures that are drawn from the scenes of one large thing alone, from
                        // which what things look like is learned soonest
  double timestep_shift;  // over 1: more of the noisy timesteps, where what is pictured is decided
  double guidance;
  std::vector<std::string> sample_prompts;
};

constexpr int held_back_count = 64;

class PainterTraining {
 public:
  explicit PainterTraining(const Recipe& recipe)
      : recipe_(recipe),
        own_(recipe),
        dtype_(dtype_named(recipe.dtype)),
        schedule_(SchedulerConfig::from_json(own_.scheduler)),
        cumulative_(alphas_cumprod(schedule_)),
        unet_weights_(Weights::fresh(recipe.seed)),
        unet_(unet_weights_, UNet2DConditionConfig::from_json(own_.unet)),
        clip_(own_.clip, dtype_),
        vae_(load_autoencoder(recipe.model / "vae", dtype_)),
        world_(recipe.world),
        captions_(world_, recipe.config, own_.scenes),
        latents_(kept_latents(own_.latents, *vae_, world_, recipe, own_.scenes, dtype_)),
        image_embeds_(clip_.image_embeds_together(latents_)),
        single_(scenes_of_one_thing()),
        held_back_(world_, recipe.seed, held_back_count),
        review_batch_(held_back_batch()),
        other_figures_(clip_.ids(held_back_.captions(true))) {
    if (unet_.config().addition_embed_type != "text_time") {
      fail(Kind::corrupt,
           "a painter's unet needs \"addition_embed_type\": \"text_time\", as SDXL's has");
    }
    if (!own_.start.empty()) {
      go_on();
    }
  }

  std::map<std::string, Tensor> parameters() const { return unet_weights_.parameters(); }

  /// This rank's part of a step's pictures, its captions in the recipe's mix, and its timesteps.
  Batch batch(std::int64_t step) const {
    Random random({recipe_.seed, 1, static_cast<std::uint64_t>(step)});
    std::vector<std::string> captions;
    const Tensor timesteps = at::empty({recipe_.batch}, at::kLong);
    std::vector<Tensor> latents, image_embeds, told;
    for (int i = 0; i < recipe_.batch; ++i) {
      const std::int64_t index = !single_.empty() && random.chance(own_.single_share)
                                     ? random.pick(single_)
                                     : random.below(static_cast<int>(own_.scenes));
      const Scene scene = numbered_scene(world_, recipe_.seed, index);
      captions.push_back(captions_.draw(scene, index, random).caption);
      told.push_back(as_tensor(drawn_told(random)));
      latents.push_back(latents_[index]);
      image_embeds.push_back(image_embeds_[index]);
      timesteps.mutable_data_ptr<std::int64_t>()[i] =
          timestep((i + random.uniform()) / recipe_.batch);
    }
    const ranks::Part part = ranks::part_of(recipe_.batch);
    return {part.of(at::stack(latents)), part.of(clip_.ids(captions)),
            part.of(at::stack(image_embeds)), part.of(at::stack(told)), part.of(timesteps)};
  }

  std::vector<std::int64_t> scenes_of_one_thing() const {
    std::vector<std::int64_t> found;
    for (std::int64_t i = 0; own_.single_share > 0 && i < own_.scenes; ++i) {
      const Scene scene = numbered_scene(world_, recipe_.seed, i);
      if (scene.figures.size() == 1 && scene.figures[0].count == 1 && scene.size == "large") {
        found.push_back(i);
      }
    }
    return found;
  }

  Told drawn_told(Random& random) const {
    if (random.chance(own_.drop_share)) {
      return {false, false, false};
    }
    if (random.chance(own_.image_share)) {
      return {random.chance(0.5), false, true};
    }
    return {true, true, false};
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
      Batch batch = review_batch_;
      batch.ids = ids;
      return loss_of(batch, at::randn_like(batch.latents, at::kFloat)).item<double>();
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

  void write_model(const Optimizer& optimizer, const fs::path& model) const {
    save_tensors(model / "unet" / "diffusion_pytorch_model.safetensors", optimizer.averaged(),
                 at::kBFloat16);
    const auto write_config = [&](const char* file, json config) {
      write_file_atomically(model / file, config.dump(2) + "\n");
    };
    write_config("unet/config.json", own_.unet);
    clip_.copy("text_encoder", model / "text_encoder_2");
    clip_.copy("image_encoder", model / "image_encoder");
    clip_.copy("tokenizer", model / "tokenizer_2");
    write_config("scheduler/scheduler_config.json", own_.scheduler);
  }

 private:
  /// Takes the weights to go on from, and leaves those that are learnt anew as they are.
  void go_on() {
    std::map<std::string, Tensor> fresh;
    for (const std::string& part : own_.learnt_anew) {
      const auto before = fresh.size();
      for (const auto& [name, parameter] : parameters()) {
        if (name.find(part) != std::string::npos) {
          fresh.emplace(name, parameter.detach().clone());
        }
      }
      if (fresh.size() == before) {
        fail(Kind::corrupt, "a painter's \"learnt_anew\" names parts of its unet; none has \"{}\"",
             part);
      }
    }
    unet_weights_.start_from(own_.start);
    const c10::AutoGradMode no_grad(false);
    for (const auto& [name, parameter] : parameters()) {
      if (const auto found = fresh.find(name); found != fresh.end()) {
        Tensor(parameter).copy_(found->second);
      }
    }
  }

  /// Held-back scenes with evenly spread timesteps.
  Batch held_back_batch() const {
    const int count = held_back_.count();
    const Tensor timesteps = at::empty({count}, at::kLong);
    for (int i = 0; i < count; ++i) {
      timesteps.mutable_data_ptr<std::int64_t>()[i] = timestep((i + 0.5) / count);
    }
    const Tensor latents = held_back_.latents(*vae_, recipe_.resolution, dtype_);
    return {latents, clip_.ids(held_back_.captions(false)), clip_.image_embeds(latents),
            as_tensor({true, true, false}).expand({count, -1}), timesteps};
  }

  static Tensor as_tensor(const Told& told) {
    return at::tensor({float(told.states), float(told.text_embed), float(told.image_embed)});
  }

  UNetCondition condition(const Tensor& ids, const Tensor& image_embeds, const Tensor& told) const {
    const c10::AutoGradMode no_grad(false);
    const TextEncoding text = clip_.read(ids);
    const auto share = told.to(dtype_).unsqueeze(2).unbind(1);
    const Tensor context = text.penultimate * share[0].unsqueeze(2);
    const double side = recipe_.resolution;
    return {
        .context = at::where(share[2].unsqueeze(2) > 0, with_picture_token(context, image_embeds),
                             context),
        .text_embeds = text.text_embeds * share[1] + image_embeds * share[2],
        .time_ids =
            at::tensor({side, side, 0.0, 0.0, side, side}, at::kFloat).expand({ids.size(0), -1})};
  }

  std::optional<Image> sample_sheet() const {
    const auto count = static_cast<std::int64_t>(own_.sample_prompts.size());
    if (count == 0) {
      return std::nullopt;
    }
    const Tensor ids = clip_.ids(own_.sample_prompts);
    const Tensor no_picture = at::zeros({count, image_embeds_.size(1)}, dtype_);
    const auto with = [&](const Told& told) {
      return condition(ids, no_picture, as_tensor(told).expand({count, -1}));
    };
    at::manual_seed(recipe_.seed);
    const Tensor noise = at::randn({count, latents_.size(1), latents_.size(2), latents_.size(3)});
    const UNetCondition text = with({true, true, false});
    const UNetCondition condition =
        own_.guidance > 1 ? joined(with({false, false, false}), text) : text;
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
    const Tensor answer = unet_.forward(noisy.to(dtype_), batch.timesteps,
                                        condition(batch.ids, batch.image_embeds, batch.told));
    return at::mse_loss(answer.to(at::kFloat), target);
  }

  const Recipe& recipe_;
  PainterRecipe own_;
  at::ScalarType dtype_;
  SchedulerConfig schedule_;
  Tensor cumulative_;
  Weights unet_weights_;
  UNet2DConditionModel unet_;
  TrainedClip clip_;
  std::unique_ptr<Autoencoder> vae_;
  World world_;
  CaptionMix captions_;
  Tensor latents_;                    // of the scenes that are trained on
  Tensor image_embeds_;               // of the same
  std::vector<std::int64_t> single_;  // those that show one large thing
  HeldBackScenes held_back_;
  Batch review_batch_;
  Tensor other_figures_;  // captions of the held-back scenes that name other things
};

}  // namespace

void train_painter(const Recipe& recipe) { learn<PainterTraining>(recipe, "painter"); }

}  // namespace longhand
