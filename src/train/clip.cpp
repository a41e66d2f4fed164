// Trains CLIP on scenes: a text encoder and an image encoder whose embeddings meet where caption
// and picture belong together (Radford et al. 2021, section 2.3). The image encoder looks at kept
// latents; the text encoder is what the painter reads with.
#include <cmath>

#include "core/error.h"
#include "models/clip_text.h"
#include "models/clip_vision.h"
#include "models/config.h"
#include "nn/dtype.h"
#include "pipeline/text_encoder.h"
#include "text/clip_tokenizer.h"
#include "train/captions.h"
#include "train/kept_drawings.h"
#include "train/learning.h"
#include "train/ranks.h"
#include "train/recipe.h"

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
        start(config_value<std::string>(recipe.config, "start", "")),
        tokenizer(config_value(recipe.config, "tokenizer",
                               (home() / "models" / "pocket" / "tokenizer_2").string())),
        scenes(config_value<std::int64_t>(recipe.config, "scenes", 10000)),
        hard_negatives(config_value(recipe.config, "hard_negatives", false)),
        keep_text_encoder(config_value(recipe.config, "keep_text_encoder", false)) {
    if (keep_text_encoder && start.empty()) {
      fail(Kind::corrupt,
           "a CLIP's \"keep_text_encoder\" needs \"start\", the folder of the run whose it is");
    }
  }

  json text, vision;
  fs::path latents;
  fs::path start;      // an earlier run's folder, to go on from; "": none
  fs::path tokenizer;  // a folder with merges.txt; the run gets a copy
  std::int64_t scenes;
  bool hard_negatives;     // each picture is also to be told from a caption wrong in one thing
  bool keep_text_encoder;  // the start's, as it is: painters that read with it need not learn anew
};

struct Batch {
  Tensor latents;  // [batch, channels, h, w]
  Tensor ids;      // [batch, length]
  Tensor wrong;    // [batch, length], or undefined: captions wrong in one thing
};

Tensor normalized(const Tensor& embeds) {
  const Tensor x = embeds.to(at::kFloat);
  return x / x.norm(2, -1, true);
}

/// A text encoder's config with what its tokenizer says.
json with_vocabulary(json config, const ClipTokenizer& tokenizer) {
  config["vocab_size"] = tokenizer.size();
  config["bos_token_id"] = tokenizer.start();
  config["eos_token_id"] = config["pad_token_id"] = tokenizer.end();
  return config;
}

class ClipTraining {
 public:
  explicit ClipTraining(const Recipe& recipe)
      : recipe_(recipe),
        own_(recipe),
        dtype_(dtype_named(recipe.dtype)),
        tokenizer_(ClipTokenizer::of_folder(own_.tokenizer)),
        text_config_(with_vocabulary(own_.text, *tokenizer_)),
        text_weights_(Weights::fresh(recipe.seed)),
        text_(text_weights_, CLIPTextConfig::from_json(text_config_)),
        vision_weights_(Weights::fresh(recipe.seed + 1)),
        vision_(vision_weights_, CLIPVisionConfig::from_json(own_.vision)),
        logit_scale_(at::full({1}, std::log(1 / 0.07), at::kFloat)),
        vae_(load_autoencoder(recipe.model / "vae", dtype_)),
        world_(recipe.world),
        captions_(world_, recipe.config, own_.scenes),
        latents_(kept_latents(own_.latents, *vae_, world_, recipe, own_.scenes, dtype_)),
        drawings_(recipe, *vae_, own_.latents, dtype_),
        held_back_(world_, recipe.seed, held_back),
        held_back_latents_(held_back_.latents(*vae_, recipe.resolution, dtype_)),
        held_back_wrong_(ids_of(wrong_descriptions())) {
    if (!own_.start.empty()) {
      text_weights_.start_from(own_.start / "text_encoder" / "model.safetensors");
      vision_weights_.start_from(own_.start / "image_encoder" / "model.safetensors");
    }
  }

  std::map<std::string, Tensor> parameters() const {
    std::map<std::string, Tensor> all = {{"logit_scale", logit_scale_}};
    if (!own_.keep_text_encoder) {
      for (const auto& [name, tensor] : text_weights_.parameters()) {
        all["text." + name] = tensor;
      }
    }
    for (const auto& [name, tensor] : vision_weights_.parameters()) {
      all["vision." + name] = tensor;
    }
    return all;
  }

  /// This rank's part of a step's pictures and captions.
  Batch batch(std::int64_t step) const {
    Random random({recipe_.seed, 2, static_cast<std::uint64_t>(step)});
    std::vector<std::string> captions, wrong;
    std::vector<Tensor> latents;
    for (int i = 0; i < recipe_.batch; ++i) {
      if (random.chance(drawings_.share())) {
        const std::int64_t number = drawings_.draw(random);
        captions.push_back(drawings_[number].alt_text(random));
        if (own_.hard_negatives) {
          wrong.push_back(drawings_[drawings_.draw(random)].alt_text(random));
        }
        latents.push_back(drawings_.latents(number));
        continue;
      }
      const std::int64_t index = random.below(static_cast<int>(own_.scenes));
      const Scene scene = numbered_scene(world_, recipe_.seed, index);
      const CaptionMix::Drawn right = captions_.draw(scene, index, random);
      captions.push_back(right.caption);
      if (own_.hard_negatives) {
        wrong.push_back(captions_.wrong(scene, right, random));
      }
      latents.push_back(latents_[index]);
    }
    const ranks::Part part = ranks::part_of(recipe_.batch);
    return {part.of(at::stack(latents)), part.of(ids_of(captions)),
            own_.hard_negatives ? part.of(ids_of(wrong)) : Tensor()};
  }

  /// The symmetric cross-entropy of which caption belongs to which picture, of this rank's rows
  /// among all ranks'. The mean over ranks is the joined batch's. Wrong captions belong to none.
  double forward_backward(const Batch& batch) const {
    const Tensor images = images_of(batch.latents), texts = texts_of(batch.ids);
    const Tensor scale = logit_scale_.to(at::kFloat).exp().clamp_max(highest_scale);
    std::vector<Tensor> rows = {images, texts};
    if (batch.wrong.defined()) {
      rows.push_back(texts_of(batch.wrong));
    }
    const auto all = ranks::gather(at::stack(rows, 1)).unbind(1);
    const Tensor captions = batch.wrong.defined() ? at::cat({all[1], all[2]}) : all[1];
    const Tensor own = ranks::part_of(recipe_.batch).of(at::arange(recipe_.batch, at::kLong));
    const Tensor loss = 0.5 * (at::cross_entropy_loss(scale * images.matmul(captions.t()), own) +
                               at::cross_entropy_loss(scale * texts.matmul(all[0].t()), own));
    loss.backward();
    return loss.item<double>();
  }

  /// On scenes that are not trained on: how often a picture's own caption is the nearest of all,
  /// and nearer than one that names another thing, and one that is wrong in one thing.
  Review review() const {
    const c10::AutoGradMode no_grad(false);
    const Tensor images = images_of(held_back_latents_);
    const Tensor own = texts_of(ids_of(held_back_.captions(false)));
    const Tensor other = texts_of(ids_of(held_back_.captions(true)));
    const Tensor nearest = images.matmul(own.t()).argmax(1);
    const Tensor found = nearest == at::arange(nearest.size(0));
    const auto told_from = [&](const Tensor& others) {
      return (images * own).sum(1) > (images * others).sum(1);
    };
    const auto share = [](const Tensor& hits) { return hits.to(at::kFloat).mean().item<double>(); };
    Review review{{},
                  {{"nearest_of_256", share(found)},
                   {"told_from_other_figures", share(told_from(other))},
                   {"told_from_wrong", share(told_from(texts_of(held_back_wrong_)))}}};
    if (!drawings_.held_back().empty()) {
      review_drawings(review);
    }
    return review;
  }

  /// Both encoders and the tokenizer, in the run's folder: a model whose UNet was trained on
  /// another CLIP must not get them.
  void write_model(const Optimizer& optimizer, const fs::path&) const {
    const auto all = optimizer.averaged();
    const auto write_encoder = [&](const char* folder, const std::string& prefix,
                                   const json& config) {
      std::map<std::string, Tensor> own;
      for (const auto& [name, tensor] : all) {
        if (name.starts_with(prefix)) {
          own[name.substr(prefix.size())] = tensor;
        }
      }
      save_tensors(recipe_.out / folder / "model.safetensors", own, at::kBFloat16);
      write_file_atomically(recipe_.out / folder / "config.json", config.dump(2) + "\n");
    };
    if (own_.keep_text_encoder) {
      copy_files(own_.start / "text_encoder", recipe_.out / "text_encoder");
    } else {
      write_encoder("text_encoder", "text.", text_config_);
    }
    write_encoder("image_encoder", "vision.", own_.vision);
    copy_files(own_.tokenizer, recipe_.out / "tokenizer");
  }

 private:
  /// Of how many drawings that are held back their title is the nearest, or among the ten nearest,
  /// of all such titles; equal titles are equally near.
  void review_drawings(Review& review) const {
    std::vector<std::string> titles;
    std::vector<Tensor> latents;
    for (const std::int64_t number : drawings_.held_back()) {
      titles.push_back(drawings_[number].title);
      latents.push_back(drawings_.latents(number));
    }
    const Tensor scores = images_of(at::stack(latents)).matmul(texts_of(ids_of(titles)).t());
    const Tensor nearer = (scores > scores.diagonal().unsqueeze(1)).sum(1);
    review.figures["drawings"] = static_cast<double>(titles.size());
    review.figures["drawing_nearest"] = (nearer < 1).to(at::kFloat).mean().item<double>();
    review.figures["drawing_among_ten"] = (nearer < 10).to(at::kFloat).mean().item<double>();
  }

  std::vector<std::string> wrong_descriptions() const {
    Random random({recipe_.seed, 3});
    const auto right = held_back_.captions(false);
    std::vector<std::string> wrong;
    for (int i = 0; i < held_back_.count(); ++i) {
      wrong.push_back(captions_.wrong(held_back_.scene(i),
                                      {"descriptive", right[static_cast<std::size_t>(i)]}, random));
    }
    return wrong;
  }

  /// As long as the longest: what follows the end changes nothing before it.
  Tensor ids_of(const std::vector<std::string>& captions) const {
    const int end = tokenizer_->end();
    const Tensor ids =
        caption_ids(captions, *tokenizer_, text_.config().max_position_embeddings, end);
    return ids.narrow(1, 0, (ids == end).to(at::kByte).argmax(1).max().item<std::int64_t>() + 1);
  }
  Tensor images_of(const Tensor& latents) const {
    return normalized(vision_.forward(latents.to(dtype_)).image_embeds);
  }
  Tensor texts_of(const Tensor& ids) const {
    const c10::AutoGradMode learns(c10::GradMode::is_enabled() && !own_.keep_text_encoder);
    return normalized(text_.forward(ids).text_embeds);
  }

  const Recipe& recipe_;
  ClipRecipe own_;
  at::ScalarType dtype_;
  std::shared_ptr<const ClipTokenizer> tokenizer_;
  json text_config_;
  Weights text_weights_;
  CLIPTextModel text_;
  Weights vision_weights_;
  CLIPVisionModelWithProjection vision_;
  Tensor logit_scale_;
  std::unique_ptr<Autoencoder> vae_;
  World world_;
  CaptionMix captions_;
  Tensor latents_;  // of the scenes that are trained on
  KeptDrawings drawings_;
  HeldBackScenes held_back_;
  Tensor held_back_latents_;
  Tensor held_back_wrong_;  // ids of their descriptions, wrong in one thing each
};

}  // namespace

void train_clip(const Recipe& recipe) { learn<ClipTraining>(recipe, "CLIP"); }

}  // namespace longhand
