// The network of Llama, Mistral, Qwen2 and Qwen3: weights of a GGUF, laid out for products of many
// sequences at once.
#pragma once

#include <vector>

#include "llm/gguf.h"
#include "nn/cached_attention.h"
#include "nn/int8_linear.h"

namespace longhand {

struct DecoderTransformerConfig {
  std::int64_t layers, hidden, feed_forward, vocabulary;
  std::int64_t context;  // tokens that a sequence may have
  HeadShape heads;
  double norm_epsilon, rope_base;
  bool rope_halves;  // which numbers of a head are turned together: see rotate()

  /// Throws invalid_argument, naming what, where this network cannot run the model.
  static DecoderTransformerConfig of(const Gguf& gguf);
};

struct DecoderTransformerOptions {
  at::ScalarType dtype = at::kBFloat16;
  bool int8 = false;  // linear layers in 8 bits, the rest as dtype
  /// Linear layers take blocks of equally many rows, padded: oneDNN then sums alike whatever
  /// company a row has. All else goes row by row anyway.
  bool deterministic = false;
};

/// Re-entrant: what sequences remember is the caller's.
class DecoderTransformer {
 public:
  /// Throws corrupt, naming the tensor.
  DecoderTransformer(const Gguf& gguf, const DecoderTransformerOptions& options);

  /// What a sequence remembers: its own keys and values, a layer each.
  using Memory = std::vector<OwnKeys>;
  Memory memory() const;

  /// A token to evaluate: its id, its position, the memory of its sequence, and how many tokens of
  /// the prefix that begins with.
  struct Row {
    std::int32_t token;
    std::int64_t position;
    Memory* memory;
    std::int64_t shared;
  };
  /// What sequences may begin with, a layer each.
  using Prefix = std::vector<SharedKeys>;
  Prefix prefix(std::span<const std::int32_t> tokens) const;
  /// Tokens of any sequences, those of one in order → the last layer's states [rows, hidden].
  /// Positions are below config().context.
  at::Tensor states(const Prefix& prefix, std::span<const Row> rows) const;
  /// States [rows, hidden] → logits [rows, vocabulary], float32.
  at::Tensor logits(const at::Tensor& states) const;
  const DecoderTransformerConfig& config() const { return config_; }

 private:
  /// x [rows, in] → [rows, out], by a packed weight or one of 8 bits.
  struct Linear {
    at::Tensor packed, bias;
    Int8Linear eight;
    bool in_blocks = false;
    at::Tensor forward(const at::Tensor& x) const;
    at::Tensor product(const at::Tensor& x) const;
  };
  struct Layer {
    at::Tensor attention_norm, feed_forward_norm;  // float32
    at::Tensor query_norm, key_norm;               // float32; Qwen3's
    Linear query_key_value, attention_output, gate_up, down;
  };
  Layer layer(const Gguf& gguf, std::int64_t index) const;
  Linear linear(const at::Tensor& weight, const at::Tensor& bias) const;
  Linear joined(const Gguf& gguf, const std::vector<std::string>& names,
                const std::vector<std::int64_t>& outs, std::int64_t in) const;
  at::Tensor turns(const Gguf& gguf) const;
  at::Tensor attended(const Layer& layer, std::size_t index, const at::Tensor& x,
                      const SharedKeys& shared, std::span<const Row> rows,
                      std::span<const std::int64_t> positions) const;

  DecoderTransformerConfig config_;
  DecoderTransformerOptions options_;
  at::Tensor embedding_;  // [vocabulary, hidden]
  std::vector<Layer> layers_;
  at::Tensor output_norm_;
  Linear output_;
  at::Tensor turns_;  // [context, width]: see rotate()
};

}  // namespace longhand
