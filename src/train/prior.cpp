// Trains unCLIP's diffusion prior (Ramesh et al. 2022, section 2.2): from a caption, as CLIP reads
// it, to the CLIP embedding of its picture, which the network predicts without noise.
#include <array>

#include "diffusion/noise_schedule.h"
#include "diffusion/sampler.h"
#include "models/config.h"
#include "models/prior_transformer.h"
#include "nn/dtype.h"
#include "train/learning.h"
#include "train/prior_scenes.h"

namespace longhand {
namespace {

using at::Tensor;
using nlohmann::json;

constexpr int review_steps = 25;
constexpr std::array measured = {"clip_mean", "clip_std"};  // of the scenes' embeddings, not learnt

struct Batch {
  PriorScenes::Batch scenes;
  Tensor timesteps;  // [batch]
};

class PriorTraining {
 public:
  explicit PriorTraining(const Recipe& recipe)
      : recipe_(recipe),
        config_(config_value(recipe.config, "prior", json::object())),
        scheduler_(config_value(recipe.config, "scheduler", json::object())),
        dtype_(dtype_named(recipe.dtype)),
        schedule_(SchedulerConfig::from_json(scheduler_)),
        cumulative_(alphas_cumprod(schedule_)),
        weights_(Weights::fresh(recipe.seed)),
        prior_(weights_, PriorTransformerConfig::from_json(config_)),
        scenes_(recipe, dtype_),
        mean_(scenes_.embeds().mean(0, true)),
        std_(scenes_.embeds().std(0, true, true)) {
    weights_.parameters().at("clip_mean").copy_(mean_);
    weights_.parameters().at("clip_std").copy_(std_);
  }

  std::map<std::string, Tensor> parameters() const {
    std::map<std::string, Tensor> learned = weights_.parameters();
    for (const char* name : measured) {
      learned.erase(name);
    }
    return learned;
  }

  Batch batch(std::int64_t step) const {
    Random random({recipe_.seed, 3, static_cast<std::uint64_t>(step)});
    Batch batch{scenes_.batch(random), {}};
    std::vector<std::int64_t> timesteps;
    for (int i = 0; i < recipe_.batch; ++i) {
      timesteps.push_back(random.below(schedule_.num_train_timesteps));
    }
    batch.timesteps = ranks::part_of(recipe_.batch).of(at::tensor(timesteps, at::kLong));
    return batch;
  }

  double forward_backward(const Batch& batch) const {
    const Tensor embeds = (batch.scenes.embeds - mean_) / std_;
    const Tensor noise = ranks::noise_like(embeds);
    const Tensor noisy = add_noise(cumulative_, embeds, noise, batch.timesteps);
    const Tensor answer = prior_.forward(noisy.to(dtype_), batch.timesteps, text(batch.scenes.ids));
    const Tensor loss = at::mse_loss(answer.to(at::kFloat), embeds);
    loss.backward();
    return loss.item<double>();
  }

  Review review() const {
    const c10::AutoGradMode no_grad(false);
    at::manual_seed(recipe_.seed);
    const PriorTransformer::Text given = text(scenes_.held_back_ids());
    const Denoise denoise = guided_denoise(
        [&](const Tensor& input, const Tensor& timesteps) {
          return prior_.forward(input, timesteps, given);
        },
        1, dtype_);
    const std::int64_t count = given.text_embeds.size(0);
    const auto scheduler = make_scheduler(schedule_.class_name, schedule_, review_steps);
    NoiseSource noise(std::vector<std::int64_t>(static_cast<std::size_t>(count), 0));
    const Tensor latents =
        run_sampler(*scheduler, denoise, at::randn({count, mean_.size(1)}), noise);
    return scenes_.review_of(prior_.post_process_latents(latents.to(dtype_)));
  }

  void write_model(const Optimizer& optimizer, const fs::path& model) const {
    std::map<std::string, Tensor> all = optimizer.averaged();
    for (const char* name : measured) {
      all[name] = weights_.parameters().at(name);
    }
    save_tensors(model / "prior" / "diffusion_pytorch_model.safetensors", all, at::kBFloat16);
    write_file_atomically(model / "prior" / "config.json", config_.dump(2) + "\n");
    write_file_atomically(model / "prior_scheduler" / "scheduler_config.json",
                          scheduler_.dump(2) + "\n");
  }

 private:
  PriorTransformer::Text text(const Tensor& ids) const {
    const ReadText read = scenes_.read(ids);
    return {read.text_embeds, read.states, read.mask};
  }

  const Recipe& recipe_;
  json config_, scheduler_;
  at::ScalarType dtype_;
  SchedulerConfig schedule_;
  Tensor cumulative_;
  Weights weights_;
  PriorTransformer prior_;
  PriorScenes scenes_;
  Tensor mean_, std_;  // of the scenes' embeddings, [1, d]
};

}  // namespace

void train_prior(const Recipe& recipe) { learn<PriorTraining>(recipe, "prior"); }

}  // namespace longhand
