// Lengthening: prompts → captions that fit the painter's text encoder and keep what was asked
// (Betker et al. 2023, section 2.2 and appendix C).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "core/fields.h"
#include "llm/language_model.h"
#include "text/clip_tokenizer.h"
#include "text/template.h"

namespace longhand {

struct UpsampleRequest {
  std::string llm;
  std::string llm_model;
  int llm_timeout = 120;
  std::string engine = "auto";
  std::string llm_dtype = "auto";
  std::string prompt_template = "dalle3";
  int candidates = 4;
  int max_tokens = 77;
  std::int64_t seed = 0;
  std::optional<double> temperature;
  int top_k = 50;
  double top_p = 0.95;
  std::optional<int> batch;
  bool unguided = false;
  bool deterministic = false;

  static constexpr auto fields = std::tuple{
      field("llm", &UpsampleRequest::llm,
            "language model: a GGUF file, or an OpenAI-compatible endpoint, http://HOST:PORT/v1, "
            "its key in $LONGHAND_API_KEY (default: SmolLM2-135M-Instruct, or $LONGHAND_LLM)"),
      field("llm_model", &UpsampleRequest::llm_model,
            "which of the endpoint's models (default: the first)"),
      field("llm_timeout", &UpsampleRequest::llm_timeout,
            "seconds to wait for an endpoint's answer", 1, 3600),
      field(
          "engine", &UpsampleRequest::engine,
          "what runs a GGUF: torch (many sequences at once), llama.cpp, or auto, which takes torch "
          "where it runs the model"),
      field("llm_dtype", &UpsampleRequest::llm_dtype,
            "auto, float32, bfloat16, or int8: linear layers in 8 bits, half of bfloat16's memory; "
            "of the torch engine"),
      field("template", &UpsampleRequest::prompt_template, "\"dalle3\", or a template's JSON file"),
      field("candidates", &UpsampleRequest::candidates, "captions tried for each prompt", 1, 64),
      field("max_tokens", &UpsampleRequest::max_tokens,
            "the painter's CLIP tokens, with the two marks", 8, 4096),
      field("seed", &UpsampleRequest::seed, "random seed", 0, 9e15),
      field("temperature", &UpsampleRequest::temperature,
            "0 takes the likeliest (default: the template's, else 0.7)", 0, 5),
      field("top_k", &UpsampleRequest::top_k, "tokens to choose among", 1, 1000),
      field("top_p", &UpsampleRequest::top_p, "probability to choose within", 0, 1),
      field("batch", &UpsampleRequest::batch,
            "sequences decoded at once (default: llama.cpp 64, torch 256 or what memory holds)", 1,
            1024),
      field("deterministic", &UpsampleRequest::deterministic,
            "the torch engine's last bits too are the same in any company: another --batch or "
            "--shard "
            "changes no caption; few sequences take longer"),
      field("unguided", &UpsampleRequest::unguided,
            "the model's own words: no budget, no openings, no prompt in front"),
  };
};

/// A prompt to lengthen; `turns` replace the question for it where an earlier caption is modified.
struct UpsampleRow {
  std::string prompt;
  std::string category;
  std::vector<Message> turns;
  /// Its number in its table, to which what is random about it belongs: neither company nor order
  /// nor a shard's size changes a caption. Rows of one call have growing numbers.
  std::int64_t number = 0;
};

struct Caption {
  std::string prompt;
  std::string caption;
  std::string category;
  int tokens = 0;                 // with the two marks
  double score = 0;               // text/fidelity.h
  std::vector<std::string> lost;  // what the prompt asked for and the caption lacks
};

/// Re-entrant; the model is shared.
class Upsampler {
 public:
  using NextRow = std::function<std::optional<UpsampleRow>()>;
  using CaptionDone = std::function<void(const Caption&)>;

  /// `tokenizer` counts the painter's tokens.
  Upsampler(std::shared_ptr<LanguageModel> model, Template prompt_template,
            const UpsampleRequest& request,
            std::shared_ptr<const ClipTokenizer> tokenizer = ClipTokenizer::shared());

  /// Lengthens rows in one continuous batch. `done` receives captions in the rows' order, each as
  /// soon as all before it are done. A model that cannot be steered is told the length; where its
  /// caption does not fit, it is asked once more, and the last resort is to cut.
  void upsample(const NextRow& next, const CaptionDone& done) const;
  Caption upsample(const UpsampleRow& row) const;
  const Template& prompt_template() const { return template_; }
  /// What captions depend on beside prompt, seed, model and template: "4 candidates of 77 tokens,
  /// temperature 0.7, top-k 50, top-p 0.95".
  std::string settings() const;

 private:
  class Run;

  Sampling sampling() const;

  Sequence sequence(const UpsampleRow& row, std::int64_t index, int candidate) const;
  Sequence follow_up(const UpsampleRow& row, std::int64_t index, int candidate,
                     const std::string& caption) const;
  bool asks_again() const { return !request_.unguided && !model_->steerable(); }
  bool keeps(const UpsampleRow& row, const std::string& tidied) const;
  Caption choose(const UpsampleRow& row, const std::vector<std::string>& candidates) const;

  std::shared_ptr<LanguageModel> model_;
  Template template_;
  UpsampleRequest request_;
  std::shared_ptr<const ClipTokenizer> tokenizer_;
};

}  // namespace longhand
