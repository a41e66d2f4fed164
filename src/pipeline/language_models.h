// The language model that a request names: in the process, or behind an endpoint.
#pragma once

#include <memory>

#include "pipeline/upsample.h"

namespace longhand {

/// request.llm, else $LONGHAND_LLM, else the model that set-up brought, on request.engine. Throws
/// what load_llama, load_torch_engine and connect_endpoint do.
std::shared_ptr<LanguageModel> load_language_model(const UpsampleRequest& request);

}  // namespace longhand
