#include "pipeline/language_models.h"

#include <algorithm>
#include <cstdlib>

#include "core/files.h"
#include "llm/endpoint.h"
#include "llm/llama_cpp.h"

namespace longhand {
namespace {

constexpr int most_requests = 16;  // at once; endpoints queue or refuse more

std::string named_model(const UpsampleRequest& request) {
  if (!request.llm.empty()) {
    return request.llm;
  }
  if (const char* set = std::getenv("LONGHAND_LLM")) {
    return set;
  }
  return home() / ".deps" / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf";
}

}  // namespace

std::shared_ptr<LanguageModel> load_language_model(const UpsampleRequest& request) {
  const std::string named = named_model(request);
  if (is_endpoint(named)) {
    return connect_endpoint(
        named, {request.llm_model, std::min(request.batch, most_requests), request.llm_timeout});
  }
  if (!request.llm_model.empty()) {
    fail(
        Kind::invalid_argument,
        "--llm-model names a model of an endpoint, and --llm is {}; give --llm http://HOST:PORT/v1",
        named);
  }
  return load_llama(named, {request.batch, 0});
}

}  // namespace longhand
