// Trains a captioner (models/git.h) on scenes, its image encoder being CLIP's, which stays as it is
// or learns further (Betker et al. 2023, section 2.1): on alt-texts, or, going on from such a run,
// on short and descriptive captions, in the shares that the recipe gives.
#include "pipeline/captioner.h"
#include "core/error.h"
#include "core/log.h"
#include "models/config.h"
#include "nn/dtype.h"
#include "text/fidelity.h"
#include "train/captions.h"
#include "train/kept_drawings.h"
#include "train/learning.h"
#include "train/ranks.h"
#include "train/recipe.h"

namespace longhand {
namespace {

using at::Tensor;
using nlohmann::json;

constexpr int held_back_count = 64;
constexpr std::int64_t no_answer = -100;  // positions whose next token is given, not learned

/// What a captioner's recipe says beyond any recipe.
struct CaptionerRecipe {
  explicit CaptionerRecipe(const Recipe& recipe)
      : model(config_value(recipe.config, "captioner", json::object())),
        clip(config_value<std::string>(recipe.config, "clip", "")),
        latents(config_value<std::string>(recipe.config, "latents", "")),
        start(config_value<std::string>(recipe.config, "start", "")),
        learn_image_encoder(config_value(recipe.config, "learn_image_encoder", false)),
        scenes(config_value<std::int64_t>(recipe.config, "scenes", 10000)) {}

  json model;
  fs::path clip, latents;    // folders of their runs
  fs::path start;            // weights of an earlier run to go on from; "": none
  bool learn_image_encoder;  // else it stays CLIP's
  std::int64_t scenes;
};

struct Batch {
  Tensor latents;  // [batch, channels, h, w]
  Tensor ids;      // [batch, length]
  Tensor answers;  // [batch, length]: the token after each, or no_answer
};

const std::string image_encoder = "git.image_encoder.";

class CaptionerTraining {
 public:
  explicit CaptionerTraining(const Recipe& recipe)
      : recipe_(recipe),
        own_(recipe),
        dtype_(dtype_named(recipe.dtype)),
        weights_(Weights::fresh(recipe.seed)),
        captioner_(weights_, GitConfig::from_json(own_.model)),
        tokenizer_(ClipTokenizer::beginning(captioner_.config().vocab_size)),
        vae_(load_autoencoder(recipe.model / "vae", dtype_)),
        world_(recipe.world),
        captions_(world_, recipe.config, own_.scenes),
        latents_(kept_latents(own_.latents, *vae_, world_, recipe, own_.scenes, dtype_)),
        drawings_(recipe, *vae_, own_.latents, dtype_),
        held_back_(world_, recipe.seed, held_back_count),
        held_back_latents_(held_back_.latents(*vae_, recipe.resolution, dtype_)) {
    own_.start.empty() ? take_image_encoder() : weights_.start_from(own_.start);
  }

  std::map<std::string, Tensor> parameters() const {
    std::map<std::string, Tensor> learned;
    for (const auto& [name, tensor] : weights_.parameters()) {
      if (own_.learn_image_encoder || !name.starts_with(image_encoder)) {
        learned[name] = tensor;
      }
    }
    return learned;
  }

  Batch batch(std::int64_t step) const {
    Random random({recipe_.seed, 4, static_cast<std::uint64_t>(step)});
    std::vector<Tensor> latents;
    std::vector<CaptionMix::Drawn> captions;
    for (int i = 0; i < recipe_.batch; ++i) {
      if (random.chance(drawings_.share())) {
        const std::int64_t number = drawings_.draw(random);
        captions.push_back({"alt", drawings_[number].alt_text(random)});
        latents.push_back(drawings_.latents(number));
        continue;
      }
      const std::int64_t index = random.below(static_cast<int>(own_.scenes));
      const Scene scene = numbered_scene(world_, recipe_.seed, index);
      captions.push_back(captions_.draw(scene, index, random));
      latents.push_back(latents_[index]);
    }
    Batch all = tokens_of(captions);
    const ranks::Part part = ranks::part_of(recipe_.batch);
    return {part.of(at::stack(latents)), part.of(all.ids), part.of(all.answers)};
  }

  double forward_backward(const Batch& batch) const {
    const Tensor loss = loss_of(batch);
    loss.backward();
    return loss.item<double>();
  }

  /// Losses on scenes that are not trained on, and the share of those whose things and colours are
  /// all named in the descriptive captions that it writes.
  Review review() const {
    const c10::AutoGradMode no_grad(false);
    Review review;
    for (const std::string& kind : captioner_kinds()) {
      std::vector<CaptionMix::Drawn> captions;
      for (int i = 0; i < held_back_count; ++i) {
        Random random({recipe_.seed, static_cast<std::uint64_t>(i)});
        captions.push_back({kind, caption_of(world_, held_back_.scene(i), kind, random)});
      }
      Batch batch = tokens_of(captions);
      batch.latents = held_back_latents_;
      review.figures["loss_" + kind] = loss_of(batch).item<double>();
    }
    const auto captions = written(captioner_, *tokenizer_, held_back_latents_, {}, 0);
    double named = 0;
    for (int i = 0; i < held_back_count; ++i) {
      named += names_all(captions[static_cast<std::size_t>(i)], held_back_.scene(i)) ? 1 : 0;
    }
    review.figures["named"] = named / held_back_count;
    spdlog::info("a held-back scene: {}", captions.front());
    return review;
  }

  void write_model(const Optimizer& optimizer, const fs::path& model) const {
    std::map<std::string, Tensor> all = optimizer.averaged();
    for (const auto& [name, tensor] : weights_.parameters()) {
      all.try_emplace(name, tensor);
    }
    save_tensors(recipe_.out / "model.safetensors", all, at::kBFloat16);
    save_tensors(model / "captioner" / "model.safetensors", all, at::kBFloat16);
    write_file_atomically(model / "captioner" / "config.json", own_.model.dump(2) + "\n");
  }

 private:
  void take_image_encoder() {
    weights_.start_from(own_.clip / "image_encoder" / "model.safetensors", image_encoder);
    for (const auto& [name, tensor] : weights_.parameters()) {
      if (!own_.learn_image_encoder && name.starts_with(image_encoder)) {
        Tensor frozen = tensor;
        frozen.set_data(tensor.to(dtype_));
      }
    }
  }

  /// Kinds and captions, padded to the longest; latents stay undefined.
  Batch tokens_of(const std::vector<CaptionMix::Drawn>& captions) const {
    std::vector<std::vector<int>> rows;
    std::size_t longest = 0;
    for (const auto& [kind, caption] : captions) {
      rows.push_back(caption_tokens(*tokenizer_, kind, caption));
      rows.back().resize(std::min<std::size_t>(
          rows.back().size(),
          static_cast<std::size_t>(captioner_.config().max_position_embeddings) + 1));
      longest = std::max(longest, rows.back().size() - 1);
    }
    const auto count = static_cast<std::int64_t>(rows.size()),
               length = static_cast<std::int64_t>(longest);
    Batch batch{{},
                at::full({count, length}, tokenizer_->end(), at::kLong),
                at::full({count, length}, no_answer, at::kLong)};
    auto* ids = batch.ids.mutable_data_ptr<std::int64_t>();
    auto* answers = batch.answers.mutable_data_ptr<std::int64_t>();
    for (std::size_t i = 0; i < rows.size(); ++i, ids += length, answers += length) {
      std::copy(rows[i].begin(), rows[i].end() - 1, ids);
      std::copy(rows[i].begin() + 1, rows[i].end(), answers);
      // The start and the kind are given.
      const std::size_t given = tokenizer_->encode(captions[i].kind + ":").size();
      std::fill_n(answers, std::min(given, rows[i].size() - 1), no_answer);
    }
    return batch;
  }

  /// Each caption's mean over its tokens, and of these the mean.
  Tensor loss_of(const Batch& batch) const {
    GitForCausalLM::Seen seen = captioner_.look(batch.latents.to(dtype_));
    const Tensor logits = captioner_.forward(batch.ids, seen).to(at::kFloat);
    const Tensor each = at::cross_entropy_loss(logits.flatten(0, 1), batch.answers.flatten(), {},
                                               at::Reduction::None, no_answer)
                            .view_as(batch.answers);
    return (each.sum(1) / (batch.answers != no_answer).sum(1)).mean();
  }

  static bool names_all(const std::string& caption, const Scene& scene) {
    return std::ranges::all_of(scene.figures, [&](const Figure& figure) {
      return Demands(figure.colour + " " + figure.thing).judge(caption).lost.empty();
    });
  }

  const Recipe& recipe_;
  CaptionerRecipe own_;
  at::ScalarType dtype_;
  Weights weights_;
  GitForCausalLM captioner_;
  std::unique_ptr<const ClipTokenizer> tokenizer_;
  std::unique_ptr<Autoencoder> vae_;
  World world_;
  CaptionMix captions_;
  Tensor latents_;  // of the scenes that are trained on
  KeptDrawings drawings_;
  HeldBackScenes held_back_;
  Tensor held_back_latents_;
};

}  // namespace

void train_captioner(const Recipe& recipe) { learn<CaptionerTraining>(recipe, "captioner"); }

}  // namespace longhand
