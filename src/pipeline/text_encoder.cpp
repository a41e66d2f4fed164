#include "pipeline/text_encoder.h"

#include <algorithm>

#include "core/error.h"
#include "models/config.h"
#include "text/emphasis.h"

namespace longhand {
namespace {

/// The id of the pad token that a tokenizer's folder names, in transformers' older or newer file;
/// the end mark where it names none.
int padding_of(const fs::path& folder, const ClipTokenizer& tokenizer) {
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
  return tokenizer.end();
}

}  // namespace

std::shared_ptr<const ClipTokenizer> tokenizer_for(const CLIPTextConfig& config,
                                                   const fs::path& folder) {
  if (config.vocab_size >= ClipTokenizer::vocabulary_size) {
    return ClipTokenizer::shared();
  }
  std::shared_ptr<const ClipTokenizer> own = ClipTokenizer::of_folder(folder);
  if (own->size() != config.vocab_size || own->end() != config.eos_token_id) {
    fail(Kind::corrupt,
         "{}: a vocabulary of {} tokens, of which {} ends a text; the text encoder knows {}, of "
         "which it is {}",
         folder.string(), own->size(), own->end(), config.vocab_size, config.eos_token_id);
  }
  return own;
}

at::Tensor caption_ids(const std::vector<std::string>& captions, const ClipTokenizer& tokenizer,
                       int length, int padding) {
  at::Tensor ids = at::empty({static_cast<std::int64_t>(captions.size()), length}, at::kLong);
  auto* into = ids.mutable_data_ptr<std::int64_t>();
  for (const std::string& caption : captions) {
    into = std::ranges::copy(tokenizer.encode_padded(caption, length, padding), into).out;
  }
  return ids;
}

TextEncoder::TextEncoder(const Checkpoint& checkpoint, const std::string& tokenizer,
                         Weights& weights, const CLIPTextConfig& config)
    : model_(weights, config),
      device_(weights.device()),
      tokenizer_(tokenizer_for(config, checkpoint.configs() / tokenizer)),
      padding_(padding_of(checkpoint.configs() / tokenizer, *tokenizer_)) {}

TextEncoder::Tokens TextEncoder::tokens_of(const std::string& caption, bool emphasis) const {
  Tokens tokens;
  const std::vector<WeightedText> plain = {{caption, 1}};
  for (const WeightedText& piece : emphasis ? parse_emphasis(caption) : plain) {
    for (const int id : tokenizer_->encode(piece.text)) {
      tokens.ids.push_back(id);
      tokens.weights.push_back(static_cast<float>(piece.weight));
    }
  }
  return tokens;
}

TextEncoder::Chunks TextEncoder::chunks_of(const std::vector<std::string>& captions,
                                           const ReadingOptions& options) const {
  const std::int64_t length = config().max_position_embeddings, room = length - 2;
  std::vector<Tokens> tokens;
  std::int64_t count = 1;
  for (const std::string& caption : captions) {
    tokens.push_back(tokens_of(caption, options.emphasis));
    if (options.chunks) {
      count = std::max(count, (std::ssize(tokens.back().ids) + room - 1) / room);
    }
  }
  const auto rows = static_cast<std::int64_t>(captions.size());
  Chunks chunks{at::full({rows, count, length}, padding_, at::kLong),
                at::ones({rows, count, length})};
  for (std::int64_t i = 0; i < rows * count; ++i) {
    const Tokens& own = tokens[static_cast<std::size_t>(i / count)];
    auto* id = chunks.ids.mutable_data_ptr<std::int64_t>() + i * length;
    auto* weight = chunks.weights.mutable_data_ptr<float>() + i * length;
    const std::int64_t begin = std::min(i % count * room, std::ssize(own.ids));
    const std::int64_t some = std::min(room, std::ssize(own.ids) - begin);
    id[0] = tokenizer_->start();
    std::copy_n(own.ids.begin() + begin, some, id + 1);
    std::copy_n(own.weights.begin() + begin, some, weight + 1);
    id[some + 1] = tokenizer_->end();
  }
  return chunks;
}

TextEncoder load_text_encoder(const Checkpoint& checkpoint, const std::string& component,
                              const std::string& tokenizer, const at::TensorOptions& placement) {
  Weights weights = checkpoint.weights(component, placement);
  return {checkpoint, tokenizer, weights, CLIPTextConfig::from_json(checkpoint.config(component))};
}

TextEncoding TextEncoder::encode(const std::vector<std::string>& captions,
                                 const ReadingOptions& options) const {
  if (!options.chunks && !options.emphasis) {
    return model_.forward(
        caption_ids(captions, *tokenizer_, config().max_position_embeddings, padding_).to(device_));
  }
  const Chunks chunks = chunks_of(captions, options);
  const std::int64_t rows = chunks.ids.size(0), count = chunks.ids.size(1);
  const TextEncoding read = model_.forward(chunks.ids.flatten(0, 1).to(device_));
  const auto joined = [&](const at::Tensor& states) {
    const at::Tensor all = states.reshape({rows, -1, states.size(2)});
    if (!options.emphasis) {
      return all;
    }
    const at::Tensor plain = all.to(at::kFloat);
    const at::Tensor scaled = plain * chunks.weights.view({rows, -1, 1}).to(device_);
    return (scaled * (plain.mean({1, 2}, true) / scaled.mean({1, 2}, true))).to(all.scalar_type());
  };
  const auto first = [&](const at::Tensor& pooled) {
    return pooled.defined() ? pooled.view({rows, count, -1}).select(1, 0) : pooled;
  };
  return {joined(read.last_hidden_state), joined(read.penultimate), first(read.pooled),
          first(read.text_embeds)};
}

at::Tensor TextEncoder::mask(const std::vector<std::string>& captions) const {
  const int length = config().max_position_embeddings;
  at::Tensor mask = at::zeros({static_cast<std::int64_t>(captions.size()), length});
  for (std::size_t i = 0; i < captions.size(); ++i) {
    mask[static_cast<std::int64_t>(i)]
        .narrow(0, 0, std::min(length, tokenizer_->count(captions[i])))
        .fill_(1);
  }
  return mask.to(device_);
}

}  // namespace longhand
