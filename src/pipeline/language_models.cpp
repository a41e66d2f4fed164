#include "pipeline/language_models.h"

#include <algorithm>
#include <cstdlib>

#include "core/error.h"
#include "core/files.h"
#include "core/log.h"
#include "llm/endpoint.h"
#include "llm/llama_cpp.h"
#include "llm/torch_engine.h"
#include "nn/dtype.h"

namespace longhand {
namespace {

constexpr int most_requests = 16;  // at once; endpoints queue or refuse more
constexpr int llama_sequences = 64, most_llama_sequences = 255;
constexpr int most_sequences = 256;  // of the torch engine, unless --batch says

std::string named_model(const UpsampleRequest& request) {
  if (!request.llm.empty()) {
    return request.llm;
  }
  if (const char* set = std::getenv("LONGHAND_LLM")) {
    return set;
  }
  return home() / ".deps" / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf";
}

std::shared_ptr<LanguageModel> load_gguf(const fs::path& gguf, const UpsampleRequest& request) {
  if (request.engine != "auto" && request.engine != "torch" && request.engine != "llama.cpp") {
    fail(Kind::invalid_argument, "--engine {}: expected auto, torch or llama.cpp", request.engine);
  }
  const bool int8 = request.llm_dtype == "int8";
  TorchEngineOptions options{.sequences = request.batch.value_or(most_sequences),
                             .network = {.dtype = dtype_named(int8 ? "auto" : request.llm_dtype),
                                         .int8 = int8,
                                         .deterministic = request.deterministic}};
  if (request.engine != "llama.cpp") {
    const auto [sequences, reason] = torch_engine_fit(gguf, options);
    if (sequences > 0) {
      spdlog::debug("{} on the torch engine, {} sequences at once", gguf.stem().string(),
                    sequences);
      options.sequences = sequences;
      return load_torch_engine(gguf, options);
    }
    if (request.engine == "torch") {
      fail(Kind::invalid_argument, "{}; take --engine llama.cpp", reason);
    }
    spdlog::info("llama.cpp is taken: {}", reason);
  }
  if (request.llm_dtype != "auto") {
    fail(Kind::invalid_argument, "--llm-dtype is the torch engine's, and llama.cpp is to run {}",
         gguf.filename().string());
  }
  return load_llama(gguf,
                    {std::min(request.batch.value_or(llama_sequences), most_llama_sequences), 0});
}

}  // namespace

std::shared_ptr<LanguageModel> load_language_model(const UpsampleRequest& request) {
  const std::string named = named_model(request);
  if (is_endpoint(named)) {
    return connect_endpoint(
        named, {request.llm_model, std::min(request.batch.value_or(most_requests), most_requests),
                request.llm_timeout});
  }
  if (!request.llm_model.empty()) {
    fail(
        Kind::invalid_argument,
        "--llm-model names a model of an endpoint, and --llm is {}; give --llm http://HOST:PORT/v1",
        named);
  }
  return load_gguf(named, request);
}

}  // namespace longhand
