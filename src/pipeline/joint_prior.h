// The priors of a model whose text and pictures are embedded in one space: from a caption to the
// embedding of a picture that it could describe, by unCLIP's diffusion prior or its autoregressive
// one (Ramesh et al. 2022, section 2.2).
#pragma once

#include <optional>

#include "models/autoregressive_prior.h"
#include "pipeline/prior.h"

namespace longhand {

class JointPrior {
 public:
  /// The folder's own diffusion prior, or, where `other` is not empty, the autoregressive one of
  /// that folder, OTHER/autoregressive_prior. Throws invalid_argument where there is none, corrupt
  /// where it is not of the encoder's model.
  JointPrior(const Checkpoint& checkpoint, const fs::path& other, const TextEncoder& encoder,
             const at::TensorOptions& placement);

  /// Embeddings [n, d]. The diffusion prior draws two for a caption, of which the one nearer to the
  /// caption's own embedding is taken; the autoregressive one, which is told how near to come,
  /// draws one, and takes no heed of guidance and `unwanted`.
  at::Tensor imagine(const TextEncoder& encoder, const std::vector<std::string>& captions,
                     const std::string& unwanted, const ConditioningOptions& options,
                     NoiseSource& noise) const;
  /// How many steps are told to options.on_step.
  int steps(const ConditioningOptions& options) const;

 private:
  at::Tensor nearer_of_two(const TextEncoder& encoder, const std::vector<std::string>& captions,
                           const std::string& unwanted, const ConditioningOptions& options,
                           NoiseSource& noise) const;
  at::Tensor by_components(const TextEncoder& encoder, const std::vector<std::string>& captions,
                           const ConditioningOptions& options, NoiseSource& noise) const;

  at::TensorOptions placement_;
  std::optional<Prior> diffusion_;
  std::optional<AutoregressivePrior> autoregressive_;
};

}  // namespace longhand
