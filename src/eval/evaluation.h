// Prompts of tasks → captions → pictures → verdicts.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "eval/tasks.h"
#include "pipeline/painter.h"
#include "pipeline/upsample.h"

namespace longhand {

/// What is painted for a prompt: "truth" (nothing is: the world draws the scene, which tells how
/// far the detector can be trusted), "short" (the prompt), "lengthened" (by a language model),
/// "described" (the world's own description of a scene that fits the prompt), "imagined" (the
/// prompt, with the picture embedding that the model's prior imagines for it), "varied" (the
/// embedding of the world's own picture, without words).
const std::vector<std::string>& trial_kinds();

struct Trial {
  TestPrompt prompt;
  std::string kind;  // one of trial_kinds()
  std::int64_t seed = 0;
};

/// Captions of trials, by prompt and seed: a prompt may be asked for more than once.
using TrialCaptions = std::map<std::pair<std::string, std::int64_t>, std::string>;

struct Judged {
  Trial trial;
  std::string caption;
  Image picture;
  Judgement verdict;
  /// A hundred times the cosine of the picture and the prompt in the painter's CLIP, at least 0
  /// (Hessel et al. 2021 scale it by 2.5); not set where the painter has none.
  std::optional<double> clip_score;
};

/// A detector in a folder: config.json and model.safetensors.
class SceneJudge {
 public:
  /// dtype: "auto", "float32" or "bfloat16". Throws not_found, corrupt.
  SceneJudge(const fs::path& folder, const std::string& dtype);
  /// Pictures of any size, which it sees at its own.
  std::vector<SceneReading> read(const std::vector<Image>& pictures) const;
  /// The world whose scenes it was trained on.
  const std::string& world() const { return world_; }

 private:
  SceneJudge(const fs::path& folder, at::ScalarType dtype, const nlohmann::json& config);

  std::string world_;
  at::ScalarType dtype_;
  Weights weights_;
  SceneDetector detector_;
};

struct Evaluator {
  const World& world;
  const SceneJudge& judge;
  const Painter& painter;
  const Upsampler* upsampler;  // may be null where no trial is "lengthened" by it
  TrialCaptions lengthened;    // taken in its place
  PaintOptions options;

  /// Trials number first, first + 1, …, of one kind, painted together. What becomes of a trial
  /// depends on its number, prompt and seed, and on the others only as far as bfloat16 rounds
  /// otherwise in another batch.
  std::vector<Judged> judged(std::int64_t first, const std::vector<Trial>& trials) const;

 private:
  std::vector<Image> scenes_of(const std::vector<Trial>& trials) const;
  std::vector<std::string> captions_of(std::int64_t first, const std::vector<Trial>& trials) const;
  at::Tensor embeds_of(const std::vector<Trial>& trials,
                       const std::vector<std::string>& captions) const;
  std::vector<Image> pictures_of(const std::vector<Trial>& trials,
                                 const std::vector<std::string>& captions) const;
  std::vector<std::optional<double>> clip_scores(const std::vector<Trial>& trials,
                                                 const std::vector<Image>& pictures) const;
};

/// A share with the bounds within which it lies at 95 % (Wilson 1927).
struct Share {
  double share, low, high;
};
Share share_of(int right, int all);
/// "61.2 % (57–65)"; "–" for a share of none.
std::string text_of(const Share& share);

}  // namespace longhand
