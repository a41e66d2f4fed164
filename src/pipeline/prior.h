// The diffusion prior of unCLIP: text → the CLIP embedding of a picture that it could describe
// (Ramesh et al. 2022, section 2.2; diffusers KandinskyV22PriorPipeline and UnCLIPPipeline).
#pragma once

#include <string>
#include <vector>

#include "diffusion/sampler.h"
#include "models/prior_transformer.h"
#include "pipeline/diffusion_model.h"
#include "pipeline/text_encoder.h"

namespace longhand {

/// Texts as the prior, and Karlo's decoder, read them.
using PriorText = PriorTransformer::Text;

/// A row for each text. Throws invalid_argument for chunks and emphasis, which it cannot read.
PriorText prior_text(const TextEncoder& encoder, const std::vector<std::string>& texts,
                     const ReadingOptions& reading);
/// Both branches of guidance, the unconditional one first: one row, which stands for all of them.
PriorText joined(const PriorText& without, const PriorText& with);

class Prior {
 public:
  /// Throws corrupt where the text encoder is not of the same model.
  Prior(const Checkpoint& checkpoint, const std::string& component, const std::string& scheduler,
        const TextEncoder& encoder, const at::TensorOptions& placement);

  /// Embeddings [n, k, embedding_dim] of n pictures from k texts each: `with` has n·k rows, those
  /// of a picture one after the other, and `without` one row. A picture's noise is drawn for its k
  /// texts at once.
  at::Tensor imagine(const PriorText& with, const PriorText& without, std::int64_t n,
                     const ConditioningOptions& options, NoiseSource& noise) const;
  /// The same from a caption each, `unwanted` standing for no text: [n, embedding_dim].
  at::Tensor imagine(const TextEncoder& encoder, const std::vector<std::string>& captions,
                     const std::string& unwanted, const ConditioningOptions& options,
                     NoiseSource& noise) const;
  /// How many steps that is. Throws invalid_argument for a number that its scheduler cannot take.
  int steps(const ConditioningOptions& options) const;
  int embedding_dim() const { return model_.config().embedding_dim; }

 private:
  std::unique_ptr<Scheduler> scheduler(const ConditioningOptions& options) const;

  at::TensorOptions placement_;
  PriorTransformer model_;
  SchedulerConfig schedule_;
};

}  // namespace longhand
