#include "pipeline/captioner.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "core/error.h"
#include "core/interrupt.h"
#include "models/checkpoint_files.h"
#include "models/config.h"
#include "nn/categorical.h"
#include "nn/dtype.h"

namespace longhand {
namespace {

/// The start and what names the kind: "descriptive:".
std::vector<int> opening(const ClipTokenizer& tokenizer, const std::string& kind) {
  std::vector<int> ids = tokenizer.encode(kind + ":");
  ids.insert(ids.begin(), tokenizer.start());
  return ids;
}

/// One of the top_k likeliest tokens of a row of logits; of the likeliest alone at temperature 0.
std::int64_t chosen(const at::Tensor& logits, const CaptionOptions& options, Random& random) {
  if (options.temperature <= 0) {
    return logits.argmax().item<std::int64_t>();
  }
  const std::int64_t k = std::min<std::int64_t>(options.top_k, logits.size(0));
  const auto [values, ids] = logits.to(at::kFloat).topk(k);
  const at::Tensor drawn = drawn_indices((values / options.temperature).unsqueeze(0), {&random, 1});
  return ids[drawn.item<std::int64_t>()].item<std::int64_t>();
}

/// Tokens are words apart from one another, in small letters; a caption is not.
std::string as_text(const std::string& words) {
  std::string text;
  bool begins = true, quoted = false;
  for (const char c : words) {
    const bool closes = c == '"' && quoted;
    if (!text.empty() && text.back() == ' ' &&
        (std::string_view(".,;:!?'").find(c) != std::string_view::npos || closes)) {
      text.pop_back();
    }
    if (c == ' ' && quoted && text.ends_with('"')) {
      continue;
    }
    quoted = c == '"' ? !quoted : quoted;
    text += begins ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    begins = c == '.' || c == '!' || c == '?' || (begins && c == ' ');
  }
  return text;
}

/// Throws not_found before anything is loaded of a model that has no captioner.
at::ScalarType dtype_of(const fs::path& model, const std::string& dtype) {
  if (!fs::exists(model / "captioner" / "config.json")) {
    fail(Kind::not_found,
         "{} has no captioner; runs/pocket.sh trains the embedded model's (longhand train "
         "runs/pocket/captioner.json)",
         model.string());
  }
  return dtype_named(dtype);
}

}  // namespace

const std::vector<std::string>& captioner_kinds() {
  static const std::vector<std::string> kinds = {"alt", "short", "descriptive"};
  return kinds;
}

std::vector<int> caption_tokens(const ClipTokenizer& tokenizer, const std::string& kind,
                                const std::string& caption) {
  std::vector<int> ids = opening(tokenizer, kind);
  const std::vector<int> words = tokenizer.encode(caption);
  ids.insert(ids.end(), words.begin(), words.end());
  ids.push_back(tokenizer.end());
  return ids;
}

std::vector<std::string> written(const GitForCausalLM& model, const ClipTokenizer& tokenizer,
                                 const at::Tensor& pixel_values, const CaptionOptions& options,
                                 std::int64_t first) {
  const std::int64_t count = pixel_values.size(0);
  std::vector<Random> random;
  for (std::int64_t i = 0; i < count; ++i) {
    random.emplace_back(std::initializer_list<std::uint64_t>{
        static_cast<std::uint64_t>(options.seed),
        static_cast<std::uint64_t>(first + i * options.every)});
  }
  const std::vector<int> begin = opening(tokenizer, options.kind);
  at::Tensor next = at::tensor(begin).to(at::kLong).expand({count, -1});
  GitForCausalLM::Seen seen = model.look(pixel_values);
  std::vector<std::vector<int>> ids(static_cast<std::size_t>(count));
  std::vector<bool> done(static_cast<std::size_t>(count), false);
  const std::int64_t most = model.config().max_position_embeddings;
  while (seen.text + next.size(1) <= most && std::ranges::find(done, false) != done.end()) {
    throw_if_interrupted();
    const at::Tensor logits = model.forward(next, seen).select(1, -1);
    next = at::empty({count, 1}, at::kLong);
    for (std::int64_t i = 0; i < count; ++i) {
      const auto row = static_cast<std::size_t>(i);
      const std::int64_t id = done[row] ? tokenizer.end() : chosen(logits[i], options, random[row]);
      done[row] = id == tokenizer.end();
      if (!done[row]) {
        ids[row].push_back(static_cast<int>(id));
      }
      next.mutable_data_ptr<std::int64_t>()[i] = id;
    }
  }
  std::vector<std::string> captions;
  for (const std::vector<int>& each : ids) {
    captions.push_back(as_text(tokenizer.decode(each)));
  }
  return captions;
}

Captioner::Captioner(const fs::path& model, const std::string& dtype)
    : dtype_(dtype_of(model, dtype)),
      autoencoder_(load_autoencoder(model / "vae", dtype_)),
      processor_(CLIPImageProcessor::from_json(
          read_config(model / "feature_extractor" / "preprocessor_config.json"))),
      weights_(Weights::mapped(weight_files(model / "captioner", "model"), dtype_)),
      model_(weights_, GitConfig::from_json(read_config(model / "captioner" / "config.json"))),
      tokenizer_(ClipTokenizer::beginning(model_.config().vocab_size)) {
  if (model_.config().vision_config.num_channels != autoencoder_->latent_channels()) {
    fail(Kind::corrupt,
         "{}: the captioner looks at {} channels and the vae gives {}; they are not "
         "of one model",
         model.string(), model_.config().vision_config.num_channels,
         autoencoder_->latent_channels());
  }
}

std::vector<std::string> Captioner::captions(const std::vector<Image>& pictures,
                                             const CaptionOptions& options,
                                             std::int64_t first) const {
  std::vector<at::Tensor> all;
  for (const Image& picture : pictures) {
    all.push_back(prepared(picture));
  }
  return captions(all, options, first);
}

std::vector<std::string> Captioner::captions(const std::vector<at::Tensor>& prepared,
                                             const CaptionOptions& options,
                                             std::int64_t first) const {
  const c10::InferenceMode inference;
  return written(model_, *tokenizer_, autoencoder_->latents_of(at::stack(prepared).to(dtype_)),
                 options, first);
}

}  // namespace longhand
