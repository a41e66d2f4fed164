#include "eval/evaluation.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/interrupt.h"
#include "models/checkpoint_files.h"
#include "models/config.h"
#include "nn/dtype.h"
#include "nn/pictures.h"

namespace longhand {

const std::vector<std::string>& trial_kinds() {
  static const std::vector<std::string> kinds = {"truth",     "short",    "lengthened",
                                                 "described", "imagined", "varied"};
  return kinds;
}

namespace {

nlohmann::json detector_config(const fs::path& folder) {
  if (!fs::exists(folder / "config.json")) {
    fail(Kind::not_found,
         "{} has no detector; runs/pocket.sh trains it (longhand train runs/pocket/detector.json)",
         folder.string());
  }
  return read_config(folder / "config.json");
}

}  // namespace

SceneJudge::SceneJudge(const fs::path& folder, const std::string& dtype)
    : SceneJudge(folder, dtype_named(dtype), detector_config(folder)) {}

SceneJudge::SceneJudge(const fs::path& folder, at::ScalarType dtype, const nlohmann::json& config)
    : world_(config_value<std::string>(config, "world", "")),
      dtype_(dtype),
      weights_(Weights::mapped(weight_files(folder, "model"), dtype)),
      detector_(weights_, SceneDetectorConfig::from_json(config)) {}

std::vector<SceneReading> SceneJudge::read(const std::vector<Image>& pictures) const {
  const c10::InferenceMode inference;
  const int side = detector_.config().image_size;
  std::vector<at::Tensor> seen;
  for (const Image& picture : pictures) {
    const bool fits = picture.width == side && picture.height == side;
    seen.push_back(picture_to_tensor(fits ? picture : resize(picture, side, side)));
  }
  return detector_.read(at::stack(seen).to(dtype_).contiguous(at::MemoryFormat::ChannelsLast));
}

std::vector<std::string> Evaluator::captions_of(std::int64_t first,
                                                const std::vector<Trial>& trials) const {
  std::vector<std::string> captions;
  const std::string& kind = trials.front().kind;
  if (kind == "lengthened" && upsampler == nullptr) {
    for (const Trial& trial : trials) {
      captions.push_back(lengthened.at({trial.prompt.prompt, trial.seed}));
    }
    return captions;
  }
  if (kind == "lengthened") {
    auto next = trials.begin();
    upsampler->upsample(
        [&]() -> std::optional<UpsampleRow> {
          if (next == trials.end()) {
            return std::nullopt;
          }
          return UpsampleRow{
              .prompt = next++->prompt.prompt, .category = "", .turns = {}, .number = first++};
        },
        [&](const Caption& caption) { captions.push_back(caption.caption); });
    throw_if_interrupted();  // upon which it leaves rows out
    return captions;
  }
  for (const Trial& trial : trials) {
    captions.push_back(kind == "short" || kind == "imagined" ? trial.prompt.prompt
                       : kind == "varied"                    ? ""
                                                             : trial.prompt.description);
  }
  return captions;
}

std::vector<Image> Evaluator::scenes_of(const std::vector<Trial>& trials) const {
  std::vector<Image> scenes;
  for (const Trial& trial : trials) {
    scenes.push_back(world.draw(trial.prompt.scene, options.width));
  }
  return scenes;
}

/// [trials, d] where pictures are painted from embeddings; else undefined.
at::Tensor Evaluator::embeds_of(const std::vector<Trial>& trials,
                                const std::vector<std::string>& captions) const {
  const c10::InferenceMode inference;
  if (trials.front().kind == "varied") {
    return painter.model().image_embeds_of(scenes_of(trials));
  }
  if (trials.front().kind == "imagined") {
    std::vector<std::int64_t> seeds;
    for (const Trial& trial : trials) {
      seeds.push_back(trial.seed);
    }
    NoiseSource noise(seeds, painter.model().device());
    return painter.model().imagined_embeds(
        {.captions = captions, .negative_prompt = {}, .image_embeds = {}}, options, noise);
  }
  return {};
}

std::vector<Image> Evaluator::pictures_of(const std::vector<Trial>& trials,
                                          const std::vector<std::string>& captions) const {
  if (trials.front().kind == "truth") {
    return scenes_of(trials);
  }
  const at::Tensor embeds = embeds_of(trials, captions);
  std::vector<Order> orders;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    orders.push_back({.caption = captions[i], .seed = trials[i].seed});
    if (embeds.defined()) {
      orders.back().image_embeds = embeds[static_cast<std::int64_t>(i)];
    }
  }
  return painter.paint(orders, options);
}

std::vector<std::optional<double>> Evaluator::clip_scores(
    const std::vector<Trial>& trials, const std::vector<Image>& pictures) const {
  std::vector<std::optional<double>> scores(trials.size());
  if (!painter.model().embeds()) {
    return scores;
  }
  const c10::InferenceMode inference;
  std::vector<std::string> prompts;
  for (const Trial& trial : trials) {
    prompts.push_back(trial.prompt.prompt);
  }
  const at::Tensor cosines =
      at::cosine_similarity(painter.model().image_embeds_of(pictures).to(at::kFloat),
                            painter.model().text_embeds_of(prompts).to(at::kFloat));
  for (std::size_t i = 0; i < scores.size(); ++i) {
    scores[i] = 100 * std::max(0.0F, cosines[static_cast<std::int64_t>(i)].item<float>());
  }
  return scores;
}

std::vector<Judged> Evaluator::judged(std::int64_t first, const std::vector<Trial>& trials) const {
  const std::vector<std::string> captions = captions_of(first, trials);
  std::vector<Image> pictures = pictures_of(trials, captions);
  const std::vector<SceneReading> readings = judge.read(pictures);
  const auto scores = clip_scores(trials, pictures);
  std::vector<Judged> judged;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    judged.push_back({trials[i], captions[i], std::move(pictures[i]),
                      longhand::judge(trials[i].prompt, readings[i]), scores[i]});
  }
  return judged;
}

Share share_of(int right, int all) {
  if (all == 0) {
    return {0, 0, 1};
  }
  constexpr double z = 1.959964;
  const double n = all, p = right / n;
  const double middle = (p + z * z / (2 * n)) / (1 + z * z / n);
  const double reach = z / (1 + z * z / n) * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  return {p, std::max(0.0, middle - reach), std::min(1.0, middle + reach)};
}

std::string text_of(const Share& share) {
  if (share.low == 0 && share.high == 1) {
    return "–";
  }
  return fmt::format("{:.1f} % ({:.0f}–{:.0f})", 100 * share.share, 100 * share.low,
                     100 * share.high);
}

}  // namespace longhand
