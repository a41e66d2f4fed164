#include "train/prior_scenes.h"

#include "models/config.h"
#include "text/clip_tokenizer.h"

namespace longhand {
namespace {

using at::Tensor;

constexpr int held_back_count = 256;

}  // namespace

PriorScenes::PriorScenes(const Recipe& recipe, at::ScalarType dtype)
    : recipe_(recipe),
      scenes_(config_value<std::int64_t>(recipe.config, "scenes", 10000)),
      drop_share_(config_value(recipe.config, "drop_share", 0.1)),
      clip_(config_value<std::string>(recipe.config, "clip", ""), dtype),
      vae_(load_autoencoder(recipe.model / "vae", dtype)),
      world_(recipe.world),
      captions_(world_, recipe.config, scenes_) {
  const auto folder = config_value<std::string>(recipe.config, "latents", "");
  const HeldBackScenes held_back(world_, recipe.seed, held_back_count);
  embeds_ = clip_.image_embeds_together(kept_latents(folder, *vae_, world_, recipe, scenes_, dtype))
                .to(at::kFloat);
  held_back_embeds_ =
      clip_.image_embeds(held_back.latents(*vae_, recipe.resolution, dtype)).to(at::kFloat);
  held_back_ids_ = clip_.ids(held_back.captions(false));
}

PriorScenes::Batch PriorScenes::joined_batch(Random& random) const {
  std::vector<std::string> captions;
  std::vector<Tensor> embeds;
  for (int i = 0; i < recipe_.batch; ++i) {
    const std::int64_t index = random.below(static_cast<int>(scenes_));
    const Scene scene = numbered_scene(world_, recipe_.seed, index);
    captions.push_back(random.chance(drop_share_) ? ""
                                                  : captions_.draw(scene, index, random).caption);
    embeds.push_back(embeds_[index]);
  }
  return {at::stack(embeds), clip_.ids(captions)};
}

PriorScenes::Batch PriorScenes::batch(Random& random) const {
  const Batch joined = joined_batch(random);
  const ranks::Part part = ranks::part_of(recipe_.batch);
  return {part.of(joined.embeds), part.of(joined.ids)};
}

ReadText PriorScenes::read(const Tensor& ids) const {
  const TextEncoding text = clip_.read(ids);
  // The start mark, the words and the first end mark.
  const Tensor end = (ids == clip_.end_of_text()).to(at::kLong);
  return {text.text_embeds, text.last_hidden_state, (end.cumsum(1) == end).to(at::kFloat)};
}

Review PriorScenes::review_of(const Tensor& imagined) const {
  const auto cosines = [&](const Tensor& embeds) {
    return at::cosine_similarity(embeds.to(at::kFloat).unsqueeze(1), held_back_embeds_.unsqueeze(0),
                                 2);
  };
  const auto own = [](const Tensor& matrix) { return matrix.diagonal().mean().item<double>(); };
  const auto nearest = [](const Tensor& matrix) {
    return (matrix.argmax(1) == at::arange(matrix.size(0))).to(at::kFloat).mean().item<double>();
  };
  const Tensor prior = cosines(imagined), none = cosines(read(held_back_ids_).text_embeds);
  return {{},
          {{"cosine", own(prior)},
           {"nearest_of_256", nearest(prior)},
           {"cosine_without_prior", own(none)},
           {"nearest_without_prior", nearest(none)}}};
}

}  // namespace longhand
