#include "pipeline/text_encoder.h"

#include <algorithm>

#include "core/error.h"
#include "models/config.h"
#include "text/clip_tokenizer.h"

namespace longhand {
namespace {

/// The id of the pad token that a tokenizer's folder names, in transformers' older or newer file;
/// the end mark where it names none.
int padding_of(const fs::path& folder) {
  for (const char* name : {"special_tokens_map.json", "tokenizer_config.json"}) {
    const nlohmann::json map =
        fs::exists(folder / name) ? read_config(folder / name) : nlohmann::json::object();
    if (!map.contains("pad_token")) {
      continue;
    }
    const nlohmann::json& token = map["pad_token"];
    const auto text = token.is_object() ? config_value<std::string>(token, "content", "")
                                        : config_value<std::string>(map, "pad_token", "");
    if (text == "!") {
      return 0;
    }
    if (text != "<|endoftext|>") {
      fail(Kind::corrupt, "{}: pad_token \"{}\" is not known; expected <|endoftext|> or !",
           (folder / name).string(), text);
    }
    break;
  }
  return ClipTokenizer::end_of_text;
}

}  // namespace

at::Tensor caption_ids(const std::vector<std::string>& captions, const CLIPTextConfig& config,
                       int padding) {
  const auto tokenizer = ClipTokenizer::shared();
  const int length = config.max_position_embeddings;
  at::Tensor ids = at::empty({static_cast<std::int64_t>(captions.size()), length}, at::kLong);
  auto* into = ids.mutable_data_ptr<std::int64_t>();
  for (const std::string& caption : captions) {
    into = std::ranges::copy(tokenizer->encode_padded(caption, length, padding), into).out;
  }
  return ids;
}

TextEncoder::TextEncoder(const Checkpoint& checkpoint, const std::string& tokenizer,
                         Weights& weights, const CLIPTextConfig& config)
    : model_(weights, config), padding_(padding_of(checkpoint.configs() / tokenizer)) {
  if (config.vocab_size < ClipTokenizer::vocabulary_size) {
    fail(Kind::corrupt, "{}: the text encoder knows {} tokens; CLIP's tokenizer has {}",
         checkpoint.configs().string(), config.vocab_size, ClipTokenizer::vocabulary_size);
  }
}

TextEncoding TextEncoder::encode(const std::vector<std::string>& captions) const {
  return model_.forward(caption_ids(captions, config(), padding_));
}

at::Tensor TextEncoder::mask(const std::vector<std::string>& captions) const {
  const auto tokenizer = ClipTokenizer::shared();
  const int length = config().max_position_embeddings;
  at::Tensor mask = at::zeros({static_cast<std::int64_t>(captions.size()), length});
  for (std::size_t i = 0; i < captions.size(); ++i) {
    mask[static_cast<std::int64_t>(i)].narrow(0, 0, std::min(length, tokenizer->count(captions[i])))
        .fill_(1);
  }
  return mask;
}

}  // namespace longhand
