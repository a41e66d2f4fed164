// Language models on libtorch, for many sequences at once: what they begin with is evaluated once
// and attended to as one product for all of them.
#pragma once

#include <memory>
#include <string>

#include "core/files.h"
#include "llm/decoder_transformer.h"
#include "llm/language_model.h"

namespace longhand {

struct TorchEngineOptions {
  int sequences = 64;  // decoded at once
  DecoderTransformerOptions network = {};
};

/// The most sequences, at most those of the options, that this engine has memory for; 0, and why,
/// where it does not run the model on this processor or within free memory.
struct TorchEngineFit {
  int sequences;
  std::string reason;
};
/// Throws not_found, corrupt.
TorchEngineFit torch_engine_fit(const fs::path& gguf, const TorchEngineOptions& options);

/// A model and options that fit. Throws not_found, corrupt; invalid_argument for a model that it
/// does not run.
std::unique_ptr<LanguageModel> load_torch_engine(const fs::path& gguf,
                                                 const TorchEngineOptions& options = {});

}  // namespace longhand
