// Any GGUF in the process, through llama.cpp: one evaluated prefix, a continuous batch.
#pragma once

#include <memory>

#include "core/files.h"
#include "llm/language_model.h"

namespace longhand {

struct LlamaOptions {
  int sequences = 64;  // decoded at once
  int threads = 0;     // 0: as many as there are processors
};

/// Maps the file. Throws not_found, corrupt (not a GGUF, cut off), out_of_memory. Warns where it
/// has no chat template, and takes ChatML.
std::unique_ptr<LanguageModel> load_llama(const fs::path& gguf, const LlamaOptions& options = {});

}  // namespace longhand
