// Trains unCLIP's autoregressive prior (Ramesh et al. 2022, section 2.2): the principal components
// of a picture's CLIP embedding, quantised, are predicted one after the other.
#include "models/autoregressive_prior.h"

#include <set>

#include "core/log.h"
#include "models/config.h"
#include "nn/dtype.h"
#include "pipeline/autoregressive_sampling.h"
#include "train/learning.h"
#include "train/prior_scenes.h"

namespace longhand {
namespace {

using at::Tensor;
using nlohmann::json;

/// What quantises embeddings, which is measured and not learned.
const std::set<std::string> measured = {"mean",  "axes",         "low",
                                        "width", "likeness_low", "likeness_width"};

class AutoregressivePriorTraining {
 public:
  explicit AutoregressivePriorTraining(const Recipe& recipe)
      : recipe_(recipe),
        config_(config_value(recipe.config, "prior", json::object())),
        dtype_(dtype_named(recipe.dtype)),
        weights_(Weights::fresh(recipe.seed)),
        prior_(weights_, AutoregressivePriorConfig::from_json(config_)),
        scenes_(recipe, dtype_) {
    measure();
  }

  std::map<std::string, Tensor> parameters() const {
    std::map<std::string, Tensor> learned;
    for (const auto& [name, tensor] : weights_.parameters()) {
      if (!measured.contains(name)) {
        learned[name] = tensor;
      }
    }
    return learned;
  }

  PriorScenes::Batch batch(std::int64_t step) const {
    Random random({recipe_.seed, 5, static_cast<std::uint64_t>(step)});
    return scenes_.batch(random);
  }

  double forward_backward(const PriorScenes::Batch& batch) const {
    const AutoregressivePrior::Text text = read(batch.ids);
    const Tensor codes = prior_.codes_of(batch.embeds);
    const Tensor logits =
        prior_.forward(codes, prior_.likeness_of(batch.embeds, text.text_embeds), text);
    const Tensor loss =
        at::cross_entropy_loss(logits.flatten(0, 1).to(at::kFloat), codes.flatten());
    loss.backward();
    return loss.item<double>();
  }

  Review review() const {
    const c10::AutoGradMode no_grad(false);
    const AutoregressivePrior::Text text = read(scenes_.held_back_ids());
    std::vector<Random> random;
    for (std::int64_t i = 0; i < text.text_embeds.size(0); ++i) {
      random.emplace_back(
          std::initializer_list<std::uint64_t>{recipe_.seed, static_cast<std::uint64_t>(i)});
    }
    return scenes_.review_of(imagined(prior_, text, random));
  }

  void write_model(const Optimizer& optimizer, const fs::path& model) const {
    std::map<std::string, Tensor> all = optimizer.averaged();
    for (const std::string& name : measured) {
      all[name] = weights_.parameters().at(name);
    }
    const fs::path folder = model / "autoregressive_prior";
    save_tensors(folder / "diffusion_pytorch_model.safetensors", all, at::kBFloat16);
    write_file_atomically(folder / "config.json", config_.dump(2) + "\n");
  }

 private:
  /// Principal axes of the scenes' embeddings, the strongest first, and their ranges, as they will
  /// be stored.
  void measure() {
    const auto set = [](Tensor& into, const Tensor& value) { into.copy_(value.to(at::kBFloat16)); };
    const Tensor& embeds = scenes_.embeds();
    set(prior_.mean, embeds.mean(0));
    const Tensor centred = embeds - prior_.mean;
    const Tensor covariance = at::matmul(centred.t(), centred) / embeds.size(0);
    const auto [values, vectors] = at::linalg_eigh(covariance);
    set(prior_.axes, vectors.t().flip(0).narrow(0, 0, prior_.config().num_components));
    const auto range = [&](const Tensor& numbers, int buckets, Tensor& low, Tensor& width) {
      set(low, at::quantile(numbers, at::tensor(0.001F), 0).squeeze(0));
      const Tensor high = at::quantile(numbers, at::tensor(0.999F), 0).squeeze(0);
      set(width, (high - low) / buckets);
    };
    range(at::matmul(centred, prior_.axes.t()), prior_.config().num_buckets, prior_.low,
          prior_.width);
    const Tensor kept =
        values.flip(0).narrow(0, 0, prior_.config().num_components).sum() / values.sum();
    spdlog::info("{} components keep {:.2f} % of the embeddings' variance",
                 prior_.config().num_components, 100 * kept.item<double>());
    std::vector<Tensor> cosines;
    for (std::uint64_t i = 0; i < 8; ++i) {  // of captions as they are drawn
      Random random({recipe_.seed, 6, i});
      const PriorScenes::Batch some = scenes_.joined_batch(random);
      cosines.push_back(
          at::cosine_similarity(some.embeds, read(some.ids).text_embeds.to(at::kFloat), 1));
    }
    range(at::cat(cosines).unsqueeze(1), prior_.likeness_buckets(), prior_.likeness_low,
          prior_.likeness_width);
  }

  AutoregressivePrior::Text read(const Tensor& ids) const {
    const ReadText text = scenes_.read(ids);
    return {text.text_embeds, text.states, text.mask};
  }

  const Recipe& recipe_;
  json config_;
  at::ScalarType dtype_;
  Weights weights_;
  AutoregressivePrior prior_;
  PriorScenes scenes_;
};

}  // namespace

void train_autoregressive_prior(const Recipe& recipe) {
  learn<AutoregressivePriorTraining>(recipe, "autoregressive prior");
}

}  // namespace longhand
