// Trains CLIP on scenes: a text encoder and an image encoder whose embeddings meet where caption
// and picture belong together (Radford et al. 2021, section 2.3). The image encoder looks at kept
// latents; the text encoder is what the painter reads with.
#include <cmath>

#include "core/log.h"
#include "models/clip_text.h"
#include "models/clip_vision.h"
#include "models/config.h"
#include "nn/dtype.h"
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

constexpr int held_back = 256;
constexpr double highest_scale = 100;  // Radford et al. 2021, section 2.5

/// What a CLIP's recipe says beyond any recipe.
struct ClipRecipe {
  explicit ClipRecipe(const Recipe& recipe)
      : text(config_value(recipe.config, "text_encoder", json::object())),
        vision(config_value(recipe.config, "image_encoder", json::object())),
        latents(config_value(recipe.config, "latents", (recipe.out / "latents").string())),
        scenes(config_value<std::int64_t>(recipe.config, "scenes", 10000)),
        short_share(config_value(recipe.config, "short_share", 0.3)) {}

  json text, vision;
  fs::path latents;
  std::int64_t scenes;
  double short_share;
};

struct Batch {
  Tensor latents;  // [batch, channels, h, w]
  Tensor ids;      // [batch, length]
};

Tensor normalized(const Tensor& embeds) {
  const Tensor x = embeds.to(at::kFloat);
  return x / x.norm(2, -1, true);
}

class ClipTraining {
 public:
  ClipTraining(const Recipe& recipe, const ClipRecipe& own)
      : recipe_(recipe),
        own_(own),
        dtype_(dtype_named(recipe.dtype)),
        text_weights_(Weights::fresh(recipe.seed)),
        text_(text_weights_, CLIPTextConfig::from_json(own.text)),
        vision_weights_(Weights::fresh(recipe.seed + 1)),
        vision_(vision_weights_, CLIPVisionConfig::from_json(own.vision)),
        logit_scale_(at::full({1}, std::log(1 / 0.07), at::kFloat)),
        vae_(load_autoencoder(recipe.model / "vae", dtype_)),
        world_(recipe.world),
        latents_(kept_latents(own.latents, *vae_, world_, recipe, own.scenes, dtype_)),
        held_back_(world_, recipe.seed, held_back),
        held_back_latents_(held_back_.latents(*vae_, recipe.resolution, dtype_)) {}

  std::map<std::string, Tensor> parameters() const {
    std::map<std::string, Tensor> all = {{"logit_scale", logit_scale_}};
    for (const auto& [name, tensor] : text_weights_.parameters()) {
      all["text." + name] = tensor;
    }
    for (const auto& [name, tensor] : vision_weights_.parameters()) {
      all["vision." + name] = tensor;
    }
    return all;
  }

  /// This rank's part of a step's pictures and captions.
  Batch batch(std::int64_t step) const {
    Random random({recipe_.seed, 2, static_cast<std::uint64_t>(step)});
    std::vector<std::string> captions;
    std::vector<Tensor> latents;
    for (int i = 0; i < recipe_.batch; ++i) {
      const std::int64_t index = random.below(static_cast<int>(own_.scenes));
      const Scene scene = numbered_scene(world_, recipe_.seed, index);
      captions.push_back(drawn_caption(world_, scene, own_.short_share, random));
      latents.push_back(latents_[index]);
    }
    const ranks::Part part = ranks::part_of(recipe_.batch);
    return {part.of(at::stack(latents)), part.of(ids_of(captions))};
  }

  /// The symmetric cross-entropy of which caption belongs to which picture, of this rank's rows
  /// among all ranks'. The mean over ranks is the joined batch's.
  double forward_backward(const Batch& batch) const {
    const Tensor images = images_of(batch.latents), texts = texts_of(batch.ids);
    const Tensor scale = logit_scale_.to(at::kFloat).exp().clamp_max(highest_scale);
    const auto all = ranks::gather(at::stack({images, texts}, 1)).unbind(1);
    const Tensor own = ranks::part_of(recipe_.batch).of(at::arange(recipe_.batch, at::kLong));
    const Tensor loss = 0.5 * (at::cross_entropy_loss(scale * images.matmul(all[1].t()), own) +
                               at::cross_entropy_loss(scale * texts.matmul(all[0].t()), own));
    loss.backward();
    return loss.item<double>();
  }

  /// On scenes that are not trained on: how often a picture's own caption is the nearest of all,
  /// and nearer than one that names another thing.
  Review review() const {
    const c10::AutoGradMode no_grad(false);
    const Tensor images = images_of(held_back_latents_);
    const Tensor own = texts_of(ids_of(held_back_.captions(false)));
    const Tensor other = texts_of(ids_of(held_back_.captions(true)));
    const Tensor nearest = images.matmul(own.t()).argmax(1);
    const Tensor found = nearest == at::arange(nearest.size(0));
    const Tensor told = (images * own).sum(1) > (images * other).sum(1);
    const auto share = [](const Tensor& hits) { return hits.to(at::kFloat).mean().item<double>(); };
    return {{}, {{"nearest_of_256", share(found)}, {"told_from_other_figures", share(told)}}};
  }

  /// All of CLIP, and beside it the text encoder without its projection, for a painter to read
  /// with: in the run's folder, since a model whose UNet was trained on another one must not get
  /// it.
  void write(const Optimizer& optimizer) const {
    std::map<std::string, Tensor> text;
    const auto all = optimizer.averaged();
    for (const auto& [name, tensor] : all) {
      if (name.starts_with("text.") && name != "text.text_projection.weight") {
        text[name.substr(5)] = tensor;
      }
    }
    save_tensors(recipe_.out / "clip.safetensors", all, at::kBFloat16);
    save_tensors(recipe_.out / "text_encoder" / "model.safetensors", text, at::kBFloat16);
    json config = own_.text;
    config["architectures"] = {"CLIPTextModel"};
    write_file_atomically(recipe_.out / "text_encoder" / "config.json", config.dump(2) + "\n");
  }

 private:
  Tensor ids_of(const std::vector<std::string>& captions) const {
    return caption_ids(captions, text_.config(), ClipTokenizer::end_of_text);
  }
  Tensor images_of(const Tensor& latents) const {
    return normalized(vision_.forward(latents.to(dtype_)).image_embeds);
  }
  Tensor texts_of(const Tensor& ids) const { return normalized(text_.forward(ids).text_embeds); }

  const Recipe& recipe_;
  const ClipRecipe& own_;
  at::ScalarType dtype_;
  Weights text_weights_;
  CLIPTextModel text_;
  Weights vision_weights_;
  CLIPVisionModelWithProjection vision_;
  Tensor logit_scale_;
  std::unique_ptr<Autoencoder> vae_;
  World world_;
  Tensor latents_;  // of the scenes that are trained on
  HeldBackScenes held_back_;
  Tensor held_back_latents_;
};

}  // namespace

void train_clip(const Recipe& recipe) {
  const ClipRecipe own(recipe);
  const ClipTraining training(recipe, own);
  Optimizer optimizer(training.parameters(), recipe.optimizer, dtype_named(recipe.dtype));
  spdlog::info("CLIP: {:.2f} million parameters", static_cast<double>(optimizer.size()) / 1e6);
  Loader<Batch> loader([&](std::int64_t step) { return training.batch(step); },
                       resumed_step(recipe));
  run_training(
      recipe, optimizer, [&](std::int64_t) { return training.forward_backward(loader.next()); },
      [&] { return training.review(); });
  if (ranks::rank() == 0) {
    training.write(optimizer);
  }
}

}  // namespace longhand
