#include "pipeline/joint_prior.h"

#include <bit>

#include "core/error.h"
#include "models/checkpoint_files.h"
#include "models/config.h"
#include "pipeline/autoregressive_sampling.h"

namespace longhand {
namespace {

constexpr int samples = 2;

/// On the processor: its codes are drawn one by one, and it is small.
AutoregressivePrior autoregressive_prior(const fs::path& folder, const TextEncoder& encoder) {
  const auto config = AutoregressivePriorConfig::from_json(read_config(folder / "config.json"));
  const CLIPTextConfig& text = encoder.config();
  if (config.embedding_dim != text.projection_dim ||
      config.num_embeddings != text.max_position_embeddings) {
    fail(
        Kind::corrupt,
        "{}: the prior reads {} text states and embeddings of width {}, and the text encoder gives "
        "{} and {}; they are not of one model",
        folder.string(), config.num_embeddings, config.embedding_dim, text.max_position_embeddings,
        text.projection_dim);
  }
  // Buckets are told apart in more digits than bfloat16 has.
  Weights weights = Weights::mapped(weight_files(folder, "diffusion_pytorch_model"), at::kFloat);
  return {weights, config};
}

}  // namespace

JointPrior::JointPrior(const Checkpoint& checkpoint, const fs::path& other,
                       const TextEncoder& encoder, const at::TensorOptions& placement)
    : placement_(placement) {
  if (other.empty()) {
    diffusion_.emplace(checkpoint, "prior", "prior_scheduler", encoder, placement);
    return;
  }
  const fs::path folder = other / "autoregressive_prior";
  if (!fs::exists(folder)) {
    fail(
        Kind::invalid_argument,
        "{} has no autoregressive_prior, the one prior that this model takes beside its own; leave "
        "--prior out, or train one (`longhand train`)",
        other.string());
  }
  autoregressive_.emplace(autoregressive_prior(folder, encoder));
}

at::Tensor JointPrior::imagine(const TextEncoder& encoder, const std::vector<std::string>& captions,
                               const std::string& unwanted, const ConditioningOptions& options,
                               NoiseSource& noise) const {
  return autoregressive_ ? by_components(encoder, captions, options, noise)
                         : nearer_of_two(encoder, captions, unwanted, options, noise);
}

at::Tensor JointPrior::nearer_of_two(const TextEncoder& encoder,
                                     const std::vector<std::string>& captions,
                                     const std::string& unwanted,
                                     const ConditioningOptions& options, NoiseSource& noise) const {
  const PriorText with = prior_text(encoder, captions, options.reading);
  const PriorText without = prior_text(encoder, {unwanted}, options.reading);
  std::vector<at::Tensor> drawn, likeness;
  for (int i = 0; i < samples; ++i) {
    drawn.push_back(
        diffusion_->imagine(with, without, std::ssize(captions), options, noise).squeeze(1));
    likeness.push_back(
        at::cosine_similarity(drawn.back().to(at::kFloat), with.text_embeds.to(at::kFloat), 1));
  }
  const at::Tensor nearest = at::stack(likeness).argmax(0);
  return at::stack(drawn, 1).index({at::arange(nearest.size(0), nearest.options()), nearest});
}

at::Tensor JointPrior::by_components(const TextEncoder& encoder,
                                     const std::vector<std::string>& captions,
                                     const ConditioningOptions& options, NoiseSource& noise) const {
  const PriorText text = prior_text(encoder, captions, options.reading);
  const at::Tensor keys = noise.draw({std::ssize(captions), 2}).cpu();
  std::vector<Random> random;
  for (std::int64_t i = 0; i < std::ssize(captions); ++i) {
    random.emplace_back(std::initializer_list<std::uint64_t>{
        std::bit_cast<std::uint32_t>(keys[i][0].item<float>()),
        std::bit_cast<std::uint32_t>(keys[i][1].item<float>())});
  }
  const auto here = at::TensorOptions(at::kCPU).dtype(at::kFloat);
  return imagined(*autoregressive_,
                  {text.text_embeds.to(here), text.states.to(here), text.mask.cpu()}, random)
      .to(placement_);
}

int JointPrior::steps(const ConditioningOptions& options) const {
  return autoregressive_ ? 0 : samples * diffusion_->steps(options);
}

}  // namespace longhand
