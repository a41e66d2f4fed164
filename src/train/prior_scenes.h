// What priors are trained on and measured by: scenes' captions as CLIP reads them, and the CLIP
// embeddings of their pictures.
#pragma once

#include "models/autoencoder.h"
#include "train/captions.h"
#include "train/ranks.h"
#include "train/recipe.h"
#include "train/trained_clip.h"
#include "train/training_run.h"

namespace longhand {

/// A text as priors take it.
struct ReadText {
  at::Tensor text_embeds, states, mask;  // [n, d], [n, length, d], [n, length]
};

class PriorScenes {
 public:
  /// A recipe's "clip" and "latents" (folders of their runs), "scenes", "captions" and
  /// "drop_share", the share of captions that are left out.
  PriorScenes(const Recipe& recipe, at::ScalarType dtype);

  struct Batch {
    at::Tensor embeds;  // [batch, d], float32
    at::Tensor ids;     // [batch, length]
  };
  /// A step's scenes, and this rank's part of them; `random` may draw more for the same step.
  Batch joined_batch(Random& random) const;
  Batch batch(Random& random) const;
  /// Of all scenes that are trained on, [scenes, d], float32.
  const at::Tensor& embeds() const { return embeds_; }
  ReadText read(const at::Tensor& ids) const;

  /// Captions that are not trained on, and how near what is imagined for them, [count, d], comes to
  /// their pictures' embeddings: the mean cosine, and how often the own picture is the nearest of
  /// all; beside what the captions' own embeddings come to.
  const at::Tensor& held_back_ids() const { return held_back_ids_; }
  Review review_of(const at::Tensor& imagined) const;

 private:
  const Recipe& recipe_;
  std::int64_t scenes_;
  double drop_share_;
  TrainedClip clip_;
  std::unique_ptr<Autoencoder> vae_;
  World world_;
  CaptionMix captions_;
  at::Tensor embeds_, held_back_embeds_, held_back_ids_;
};

}  // namespace longhand
