#include "llm/decoder_transformer.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.h"
#include "nn/language.h"
#include "nn/packing.h"
#include "nn/parallel.h"

namespace longhand {
namespace {

using at::Tensor;
using std::int64_t;

constexpr int64_t block_rows = 128;  // of deterministic products
constexpr int64_t few_rows = 16;     // waking a thread for them takes longer than their copies
constexpr int64_t most_context = 1 << 15;  // tokens of a sequence; angles are kept for each

struct Architecture {
  const char* name;
  bool rope_halves;
};
constexpr std::array architectures = {Architecture{"llama", false}, Architecture{"mistral", false},
                                      Architecture{"qwen2", true}, Architecture{"qwen3", true}};

}  // namespace

DecoderTransformerConfig DecoderTransformerConfig::of(const Gguf& gguf) {
  const std::string name = gguf.text("general.architecture");
  const auto* found = std::ranges::find(architectures, name, &Architecture::name);
  const std::string file = gguf.path().filename().string();
  if (found == architectures.end()) {
    fail(Kind::invalid_argument,
         "{} is of the architecture {}; the torch engine runs llama, mistral, qwen2 and qwen3",
         file, name);
  }
  const auto key = [&](const char* rest) { return name + "." + rest; };
  if (gguf.has(key("expert_count")) && gguf.whole(key("expert_count")) > 0) {
    fail(Kind::invalid_argument, "{} is a mixture of experts; the torch engine runs none", file);
  }
  if (gguf.has(key("rope.scaling.type")) && gguf.text(key("rope.scaling.type")) != "none") {
    fail(Kind::invalid_argument, "{} scales its rotary embedding ({}); the torch engine does not",
         file, gguf.text(key("rope.scaling.type")));
  }
  DecoderTransformerConfig c{};
  c.layers = gguf.whole(key("block_count"));
  c.hidden = gguf.whole(key("embedding_length"));
  c.feed_forward = gguf.whole(key("feed_forward_length"));
  c.context = std::min(gguf.whole(key("context_length")), most_context);
  // Within the window, sliding it changes nothing.
  c.context = std::min(c.context, gguf.whole(key("attention.sliding_window"), c.context));
  c.heads.heads = gguf.whole(key("attention.head_count"));
  c.heads.kv_heads = gguf.whole(key("attention.head_count_kv"), c.heads.heads);
  const bool counts = c.layers > 0 && c.hidden > 0 && c.feed_forward > 0 && c.context > 0 &&
                      c.heads.heads > 0 && c.heads.kv_heads > 0 &&
                      c.heads.heads % c.heads.kv_heads == 0;
  c.heads.width = counts ? gguf.whole(key("attention.key_length"), c.hidden / c.heads.heads) : 0;
  const bool even = gguf.whole(key("attention.value_length"), c.heads.width) == c.heads.width &&
                    gguf.whole(key("rope.dimension_count"), c.heads.width) == c.heads.width;
  if (!counts || !even || c.heads.width <= 0 || c.heads.width % 16 != 0 || c.hidden % 16 != 0 ||
      c.feed_forward % 16 != 0) {
    fail(
        Kind::invalid_argument,
        "{}: {} heads of {} ({} of keys), {} numbers a token and {} within; the torch engine needs "
        "multiples of 16, and heads that are turned as a whole",
        file, c.heads.heads, c.heads.width, c.heads.kv_heads, c.hidden, c.feed_forward);
  }
  c.norm_epsilon = gguf.number(key("attention.layer_norm_rms_epsilon"), 1e-5);
  c.rope_base = gguf.number(key("rope.freq_base"), 10000);
  c.rope_halves = found->rope_halves;
  c.vocabulary = gguf.rows("token_embd.weight");
  return c;
}

DecoderTransformer::DecoderTransformer(const Gguf& gguf, const DecoderTransformerOptions& options)
    : config_(DecoderTransformerConfig::of(gguf)),
      options_(options),
      embedding_(
          gguf.tensor("token_embd.weight", {config_.vocabulary, config_.hidden}, options.dtype)),
      output_norm_(gguf.tensor("output_norm.weight", {config_.hidden}, at::kFloat)),
      turns_(turns(gguf)) {
  for (int64_t i = 0; i < config_.layers; ++i) {
    layers_.push_back(layer(gguf, i));
  }
  output_ = gguf.has_tensor("output.weight")
                ? joined(gguf, {"output"}, {config_.vocabulary}, config_.hidden)
                : linear(embedding_, {});
}

Tensor DecoderTransformer::Linear::product(const Tensor& x) const {
  return eight.defined() ? eight.forward(x, bias) : packed_linear(x, packed, bias);
}

Tensor DecoderTransformer::Linear::forward(const Tensor& x) const {
  if (!in_blocks) {
    return product(x);
  }
  std::vector<Tensor> parts;
  for (const Tensor& part : x.split(block_rows)) {
    const int64_t rows = part.size(0);
    const Tensor padded = at::constant_pad_nd(part, {0, 0, 0, block_rows - rows});
    parts.push_back(product(padded).narrow(0, 0, rows));
  }
  return parts.size() == 1 ? parts.front() : at::cat(parts);
}

DecoderTransformer::Linear DecoderTransformer::linear(const Tensor& weight,
                                                      const Tensor& bias) const {
  return options_.int8 ? Linear{{}, bias, Int8Linear(weight), options_.deterministic}
                       : Linear{pack_linear(weight), bias, {}, options_.deterministic};
}

/// Linear layers of the same input as one: their outputs lie side by side.
DecoderTransformer::Linear DecoderTransformer::joined(const Gguf& gguf,
                                                      const std::vector<std::string>& names,
                                                      const std::vector<int64_t>& outs,
                                                      int64_t in) const {
  std::vector<Tensor> weights, biases;
  for (std::size_t i = 0; i < names.size(); ++i) {
    weights.push_back(gguf.tensor(names[i] + ".weight", {outs[i], in}, options_.dtype));
    if (gguf.has_tensor(names[i] + ".bias")) {
      biases.push_back(gguf.tensor(names[i] + ".bias", {outs[i]}, options_.dtype));
    }
  }
  if (!biases.empty() && biases.size() != names.size()) {
    fail(Kind::corrupt, "{}: {} and its neighbours have biases in part", gguf.path().string(),
         names.front());
  }
  return linear(weights.size() == 1 ? weights.front() : at::cat(weights),
                biases.empty() ? Tensor() : at::cat(biases));
}

DecoderTransformer::Layer DecoderTransformer::layer(const Gguf& gguf, int64_t index) const {
  const std::string prefix = fmt::format("blk.{}.", index);
  const int64_t hidden = config_.hidden, ff = config_.feed_forward;
  const int64_t queries = config_.heads.heads * config_.heads.width;
  const int64_t keys = config_.heads.kv_heads * config_.heads.width;
  const auto norm = [&](const char* name, int64_t width) {
    return gguf.tensor(prefix + name + ".weight", {width}, at::kFloat);
  };
  Layer layer{norm("attn_norm", hidden),
              norm("ffn_norm", hidden),
              {},
              {},
              joined(gguf, {prefix + "attn_q", prefix + "attn_k", prefix + "attn_v"},
                     {queries, keys, keys}, hidden),
              joined(gguf, {prefix + "attn_output"}, {hidden}, queries),
              joined(gguf, {prefix + "ffn_gate", prefix + "ffn_up"}, {ff, ff}, hidden),
              joined(gguf, {prefix + "ffn_down"}, {hidden}, ff)};
  if (gguf.has_tensor(prefix + "attn_q_norm.weight")) {
    layer.query_norm = norm("attn_q_norm", config_.heads.width);
    layer.key_norm = norm("attn_k_norm", config_.heads.width);
  }
  return layer;
}

/// Cosines and sines of each position's angles; Llama 3's files divide the frequencies.
Tensor DecoderTransformer::turns(const Gguf& gguf) const {
  const int64_t pairs = config_.heads.width / 2;
  const Tensor exponents = at::arange(pairs, at::kDouble) / static_cast<double>(pairs);
  Tensor frequencies = at::pow(config_.rope_base, -exponents);
  if (gguf.has_tensor("rope_freqs.weight")) {
    frequencies = frequencies / gguf.tensor("rope_freqs.weight", {pairs}, at::kFloat);
  }
  const Tensor angles = at::outer(at::arange(config_.context, at::kDouble), frequencies);
  return at::cat({angles.cos(), angles.sin()}, 1).to(at::kFloat).contiguous();
}

DecoderTransformer::Memory DecoderTransformer::memory() const {
  return Memory(layers_.size(), OwnKeys(config_.heads, options_.dtype));
}

/// The prefix is a sequence of its own first, whose keys are then shared.
DecoderTransformer::Prefix DecoderTransformer::prefix(std::span<const std::int32_t> tokens) const {
  Prefix prefix(layers_.size());
  if (tokens.empty()) {
    return prefix;
  }
  Memory memory(layers_.size(), OwnKeys(config_.heads, options_.dtype, std::ssize(tokens)));
  std::vector<Row> rows;
  for (const std::int32_t token : tokens) {
    rows.push_back({token, std::ssize(rows), &memory, 0});
  }
  states(prefix, rows);
  for (std::size_t i = 0; i < memory.size(); ++i) {
    prefix[i] = memory[i].shared(std::ssize(tokens));
  }
  return prefix;
}

Tensor DecoderTransformer::attended(const Layer& layer, std::size_t index, const Tensor& x,
                                    const SharedKeys& shared, std::span<const Row> rows,
                                    std::span<const int64_t> positions) const {
  const int64_t width = config_.heads.width;
  const int64_t keys = config_.heads.kv_heads * width;
  const Tensor all = layer.query_key_value.forward(x);
  const Tensor query = all.narrow(1, 0, config_.heads.heads * width);
  const Tensor key = all.narrow(1, query.size(1), keys);
  const Tensor value = all.narrow(1, query.size(1) + keys, keys);
  if (layer.query_norm.defined()) {
    rms_norm_heads(query, layer.query_norm, config_.norm_epsilon);
    rms_norm_heads(key, layer.key_norm, config_.norm_epsilon);
  }
  rotate(query, width, turns_, positions, config_.rope_halves);
  rotate(key, width, turns_, positions, config_.rope_halves);
  for (const Row& row : rows) {
    (*row.memory)[index].reserve(row.position - row.shared + 1);
  }
  std::vector<CachedRow> cached(rows.size());
  parallel_for(
      std::ssize(rows),
      [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const Row& row = rows[static_cast<std::size_t>(i)];
          OwnKeys& own = (*row.memory)[index];
          const int64_t place = row.position - row.shared;
          own.put(place, key, value, i);
          cached[static_cast<std::size_t>(i)] = {row.shared, &own, place + 1};
        }
      },
      few_rows);
  return layer.attention_output.forward(cached_attention(query, config_.heads, shared, cached));
}

Tensor DecoderTransformer::states(const Prefix& prefix, std::span<const Row> rows) const {
  const c10::InferenceMode inference;
  std::vector<int64_t> ids, positions;
  for (const Row& row : rows) {
    ids.push_back(row.token);
    positions.push_back(row.position);
  }
  Tensor x = embedding_.index_select(0, at::tensor(ids, at::kLong)).to(at::kFloat);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    const auto normed = [&](const Tensor& weight) {
      return rms_norm(x, weight, config_.norm_epsilon, options_.dtype);
    };
    x.add_(attended(layer, i, normed(layer.attention_norm), prefix[i], rows, positions));
    x.add_(layer.down.forward(swiglu(layer.gate_up.forward(normed(layer.feed_forward_norm)))));
  }
  return x;
}

Tensor DecoderTransformer::logits(const Tensor& states) const {
  const c10::InferenceMode inference;
  return output_.forward(rms_norm(states, output_norm_, config_.norm_epsilon, options_.dtype))
      .to(at::kFloat);
}

}  // namespace longhand
