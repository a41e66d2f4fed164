// The torch engine's network beside llama.cpp on small random models of each architecture, in
// float32: grouped keys, biases (Qwen2), norms of heads (Qwen3), a separate output (Mistral's
// files are of the architecture "llama").
#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <map>

#include "core/error.h"
#include "llama_reference.h"
#include "llm/torch_engine.h"

using namespace longhand;
using at::Tensor;

namespace {

struct Shape {
  std::string architecture;
  std::int64_t heads = 4, kv_heads = 2, width = 16;
  bool biases = false, head_norms = false, separate_output = false;
  std::int64_t layers = 2, hidden = 64, feed_forward = 96;
};

std::map<std::string, Tensor> random_tensors(const Shape& s, std::int64_t vocabulary) {
  std::map<std::string, Tensor> tensors;
  at::manual_seed(1);
  const auto add = [&](const std::string& name, std::vector<std::int64_t> shape, double scale = 1,
                       double middle = 0) { tensors[name] = at::randn(shape) * scale + middle; };
  const auto matrix = [&](const std::string& name, std::int64_t out, std::int64_t in) {
    add(name + ".weight", {out, in}, 1 / std::sqrt(static_cast<double>(in)));
  };
  add("token_embd.weight", {vocabulary, s.hidden});
  add("output_norm.weight", {s.hidden}, 0.1, 1);
  if (s.separate_output) {
    matrix("output", vocabulary, s.hidden);
  }
  for (std::int64_t i = 0; i < s.layers; ++i) {
    const std::string layer = fmt::format("blk.{}.", i);
    add(layer + "attn_norm.weight", {s.hidden}, 0.1, 1);
    add(layer + "ffn_norm.weight", {s.hidden}, 0.1, 1);
    matrix(layer + "attn_output", s.hidden, s.heads * s.width);
    matrix(layer + "ffn_gate", s.feed_forward, s.hidden);
    matrix(layer + "ffn_up", s.feed_forward, s.hidden);
    matrix(layer + "ffn_down", s.hidden, s.feed_forward);
    const std::map<std::string, std::int64_t> outs = {{"attn_q", s.heads * s.width},
                                                      {"attn_k", s.kv_heads * s.width},
                                                      {"attn_v", s.kv_heads * s.width}};
    for (const auto& [name, out] : outs) {
      matrix(layer + name, out, s.hidden);
      if (s.biases) {
        add(layer + name + ".bias", {out});
      }
    }
    for (const char* name : {"attn_q_norm.weight", "attn_k_norm.weight"}) {
      if (s.head_norms) {
        add(layer + name, {s.width}, 0.1, 1);
      }
    }
  }
  return tensors;
}

/// A GGUF of random tensors with SmolLM2's vocabulary.
void write_model(const fs::path& path, const Shape& s) {
  gguf_context* from = gguf_init_from_file(quantised.c_str(), {.no_alloc = true, .ctx = nullptr});
  REQUIRE(from != nullptr);
  gguf_context* to = gguf_init_empty();
  gguf_set_kv(to, from);
  const auto set = [&](const char* key, std::int64_t value) {
    gguf_set_val_u32(to, (s.architecture + "." + key).c_str(), static_cast<std::uint32_t>(value));
  };
  gguf_set_val_str(to, "general.architecture", s.architecture.c_str());
  set("block_count", s.layers);
  set("context_length", 512);
  set("embedding_length", s.hidden);
  set("feed_forward_length", s.feed_forward);
  set("attention.head_count", s.heads);
  set("attention.head_count_kv", s.kv_heads);
  set("attention.key_length", s.width);
  set("attention.value_length", s.width);
  set("rope.dimension_count", s.width);
  gguf_set_val_f32(to, (s.architecture + ".attention.layer_norm_rms_epsilon").c_str(), 1e-6F);
  gguf_set_val_f32(to, (s.architecture + ".rope.freq_base").c_str(), 5000);
  const std::int64_t vocabulary =
      gguf_get_arr_n(from, gguf_find_key(from, "tokenizer.ggml.tokens"));
  const auto tensors = random_tensors(s, vocabulary);
  ggml_context* shapes = ggml_init({.mem_size = 1 << 20, .mem_buffer = nullptr, .no_alloc = true});
  for (const auto& [name, tensor] : tensors) {
    ggml_tensor* shape =
        tensor.dim() == 1
            ? ggml_new_tensor_1d(shapes, GGML_TYPE_F32, tensor.size(0))
            : ggml_new_tensor_2d(shapes, GGML_TYPE_F32, tensor.size(1), tensor.size(0));
    ggml_set_name(shape, name.c_str());
    gguf_add_tensor(to, shape);
    gguf_set_tensor_data(to, name.c_str(), tensor.const_data_ptr());
  }
  REQUIRE(gguf_write_to_file(to, path.c_str(), false));
  ggml_free(shapes);
  gguf_free(to);
  gguf_free(from);
}

void check_logits(const Shape& shape) {
  const fs::path path = fs::temp_directory_path() / fmt::format("random-{}.gguf", getpid());
  write_model(path, shape);
  {
    Reference reference(path);
    const ChatVocabulary vocabulary(reference.model(), path);
    const DecoderTransformer network(Gguf(path), {.dtype = at::kFloat});
    for (const Tokens& text : texts(vocabulary, 3, 60)) {
      const std::size_t begin = 21;
      const Tensor expected = reference.logits(text, 0).narrow(0, begin, 60 - begin);
      reference.forget();
      const Tensor answer = own_logits(network, text, begin);
      CHECK(((answer - expected).abs().max() / expected.abs().max()).item<double>() < 1e-5);
    }
  }
  fs::remove(path);
}

}  // namespace

TEST_CASE("logits are llama.cpp's for each architecture") {
  if (torch_engine_fit(quantised, {.sequences = 1, .network = {.dtype = at::kFloat}}).sequences ==
      0) {
    return;  // llama.cpp is what runs there
  }
  const c10::InferenceMode inference;
  SUBCASE("llama: Mistral's and Zephyr's") {
    check_logits({.architecture = "llama", .separate_output = true});
  }
  SUBCASE("llama with a wider head than its part of a token") {
    check_logits({.architecture = "llama", .heads = 3, .kv_heads = 1, .width = 32});
  }
  SUBCASE("qwen2") { check_logits({.architecture = "qwen2", .biases = true}); }
  SUBCASE("qwen3") {
    check_logits(
        {.architecture = "qwen3", .width = 32, .head_norms = true, .separate_output = true});
  }
}
