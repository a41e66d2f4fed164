// Any OpenAI-compatible chat endpoint, as vLLM, Ollama and llama-server serve it: several requests
// in flight.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "llm/language_model.h"

namespace longhand {

struct EndpointOptions {
  std::string model;   // empty: the first that the endpoint lists
  int sequences = 16;  // requests in flight at once
  int timeout = 120;   // seconds to wait for an answer
};

/// True for http:// and https://.
bool is_endpoint(std::string_view text);

/// `url` ends in /v1 as a rule. The key is $LONGHAND_API_KEY, else $OPENAI_API_KEY, else none. Here
/// and while generating, throws invalid_argument (a malformed URL, a key that is refused),
/// not_found (no such address or model), unavailable (no connection or answer after three tries),
/// corrupt (an answer that is none) and cancelled (Ctrl-C; what is in flight is dropped).
std::unique_ptr<LanguageModel> connect_endpoint(const std::string& url,
                                                const EndpointOptions& options = {});

}  // namespace longhand
