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

/// "" where this engine runs the model on this processor, within free memory; else why it does not.
/// Throws not_found, corrupt.
std::string torch_engine_refuses(const fs::path& gguf, const TorchEngineOptions& options);

/// Throws what torch_engine_refuses() says as invalid_argument; not_found, corrupt.
std::unique_ptr<LanguageModel> load_torch_engine(const fs::path& gguf,
                                                 const TorchEngineOptions& options = {});

}  // namespace longhand
