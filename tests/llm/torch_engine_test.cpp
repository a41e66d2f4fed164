// The torch engine beside llama.cpp on one file in float32: SmolLM2, dequantised once for both,
// since llama.cpp rounds what it multiplies quantised weights with.
#include "llm/torch_engine.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "core/error.h"
#include "llama_reference.h"

using namespace longhand;
using at::Tensor;

namespace {

/// A GGUF with all tensors as float32, for this program's lifetime.
class Float32File {
 public:
  Float32File() : path_(fs::temp_directory_path() / fmt::format("float32-{}.gguf", getpid())) {
    ggml_context* shapes = nullptr;
    gguf_context* from = gguf_init_from_file(quantised.c_str(), {.no_alloc = true, .ctx = &shapes});
    REQUIRE(from != nullptr);
    gguf_context* to = gguf_init_empty();
    gguf_set_kv(to, from);
    const Gguf source(quantised);
    std::vector<Tensor> wide;
    for (ggml_tensor* t = ggml_get_first_tensor(shapes); t != nullptr;
         t = ggml_get_next_tensor(shapes, t)) {
      std::vector<std::int64_t> shape;
      for (int i = ggml_n_dims(t) - 1; i >= 0; --i) {
        shape.push_back(t->ne[i]);
      }
      wide.push_back(source.tensor(t->name, shape, at::kFloat).contiguous());
      gguf_add_tensor(to, t);
      gguf_set_tensor_type(to, t->name, GGML_TYPE_F32);
      gguf_set_tensor_data(to, t->name, wide.back().const_data_ptr());
    }
    REQUIRE(gguf_write_to_file(to, path_.c_str(), false));
    gguf_free(to);
    gguf_free(from);
    ggml_free(shapes);
  }
  ~Float32File() { fs::remove(path_); }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

struct Fixture {
  Float32File file;
  Reference reference{file.path()};
  ChatVocabulary vocabulary{reference.model(), file.path()};
  DecoderTransformer network{Gguf(file.path()), {.dtype = at::kFloat}};
};

}  // namespace

TEST_CASE("logits and greedy texts are llama.cpp's in float32") {
  if (torch_engine_fit(quantised, {.sequences = 1, .network = {.dtype = at::kFloat}}).sequences ==
      0) {
    return;  // llama.cpp is what runs there
  }
  const c10::InferenceMode inference;
  Fixture f;
  for (const Tokens& text : texts(f.vocabulary, 20, 100)) {
    const std::size_t begin = 37;
    const Tensor expected = f.reference.logits(text, 0).narrow(0, begin, 100 - begin);
    f.reference.forget();
    const Tensor answer = own_logits(f.network, text, begin);
    const double error = ((answer - expected).abs().max() / expected.abs().max()).item<double>();
    CHECK(error < 2e-5);  // measured: 2e-6 to 4e-6
  }
  int ties = 0;
  for (const Tokens& text : texts(f.vocabulary, 4, 30)) {
    Tensor expected = f.reference.logits(text, 0)[-1];
    const auto prefix = f.network.prefix(text);
    DecoderTransformer::Memory memory = f.network.memory();
    Tensor own = own_logits(f.network, text, text.size() - 1)[-1];
    for (int i = 0; i < 40; ++i) {
      const auto token = static_cast<std::int32_t>(own.argmax().item<std::int64_t>());
      if (token != expected.argmax().item<std::int64_t>()) {
        const Tensor best = std::get<0>(expected.topk(2));
        CHECK((best[0] - best[1]).item<float>() < 1e-3 * best[0].item<float>());
        MESSAGE("a tie at token " << i << ": " << best[0].item<float>() << " and "
                                  << best[1].item<float>());
        ++ties;
        break;
      }
      const int position = static_cast<int>(text.size()) + i;
      expected = f.reference.logits({token}, position)[0];
      const std::vector<DecoderTransformer::Row> row = {
          {token, position, &memory, static_cast<std::int64_t>(text.size())}};
      own = f.network.logits(f.network.states(prefix, row))[0];
    }
    f.reference.forget();
  }
  CHECK(ties <= 1);
}

TEST_CASE("what bfloat16 and 8 bits change of the logits") {
  if (torch_engine_fit(quantised, {.sequences = 1, .network = {.int8 = true}}).sequences == 0) {
    return;
  }
  const c10::InferenceMode inference;
  Fixture f;
  DecoderTransformer half(Gguf(f.file.path()), {});
  DecoderTransformer eight(Gguf(f.file.path()), {.int8 = true});
  for (const DecoderTransformer* network : {&half, &eight}) {
    double error = 0, same = 0;
    constexpr int count = 8;
    for (const Tokens& text : texts(f.vocabulary, count, 100)) {
      const Tensor exact = own_logits(f.network, text, 37), rough = own_logits(*network, text, 37);
      error += ((rough - exact).square().mean().sqrt() / exact.std()).item<double>() / count;
      same += (rough.argmax(1) == exact.argmax(1)).to(at::kDouble).mean().item<double>() / count;
    }
    MESSAGE(std::string(network == &half ? "bfloat16" : "int8")
            << ": root mean square error " << error << " of the spread, same word in " << same);
    CHECK(error < (network == &half ? 0.05 : 0.2));
    CHECK(same > (network == &half ? 0.95 : 0.85));
  }
}

TEST_CASE("what is deterministic is the same to the bit in any company") {
  if (torch_engine_fit(quantised, {.sequences = 1}).sequences == 0) {
    return;
  }
  const c10::InferenceMode inference;
  const LlamaModel model = load_llama_model(quantised, true);
  const ChatVocabulary vocabulary(model.get(), quantised);
  DecoderTransformer network(Gguf(quantised), {.deterministic = true});
  const auto all = texts(vocabulary, 40, 60);
  const auto none = network.prefix({});
  /// The last logits of the first text, which is evaluated beside `company` others.
  const auto beside = [&](std::size_t company) {
    std::vector<DecoderTransformer::Memory> memories;
    for (std::size_t i = 0; i <= company; ++i) {
      memories.push_back(network.memory());
    }
    std::vector<DecoderTransformer::Row> rows;
    for (std::size_t i = company + 1; i-- > 0;) {  // the first text comes last
      for (std::size_t at = 0; at < all[i].size(); ++at) {
        rows.push_back({all[i][at], static_cast<std::int64_t>(at), &memories[i], 0});
      }
    }
    return network.logits(network.states(none, rows).narrow(0, std::ssize(rows) - 1, 1));
  };
  const Tensor alone = beside(0);
  CHECK(at::equal(alone, beside(1)));
  CHECK(at::equal(alone, beside(39)));
}

TEST_CASE("a prompt beyond the model's context is refused by either engine") {
  const auto refused = [](LanguageModel& model) {
    std::string words;
    for (int i = 0; i < 9000; ++i) {
      words += "cat ";
    }
    bool given = false;
    const auto next = [&]() -> std::optional<Sequence> {
      if (std::exchange(given, true)) {
        return std::nullopt;
      }
      return Sequence{0, {{"user", words}}, "", Random({1}), nullptr};
    };
    CHECK_THROWS_WITH_AS(model.generate({}, next, [](const Generated&) {}, {}),
                         doctest::Contains("context of 8192"), Error);
  };
  refused(*load_llama(quantised, {.sequences = 64}));
  if (torch_engine_fit(quantised, {}).sequences > 0) {
    refused(*load_torch_engine(quantised));
  }
}

TEST_CASE("files that it does not run are told apart") {
  const fs::path path = fs::temp_directory_path() / fmt::format("other-{}.gguf", getpid());
  gguf_context* context = gguf_init_empty();
  gguf_set_val_str(context, "general.architecture", "falcon");
  REQUIRE(gguf_write_to_file(context, path.c_str(), false));
  const std::string reason = torch_engine_fit(path, {}).reason;
  CHECK(
      (reason.find("falcon") != std::string::npos || reason.find("AVX-512") != std::string::npos));
  gguf_set_val_str(context, "general.architecture", "llama");
  gguf_set_val_u32(context, "llama.block_count", 2);
  REQUIRE(gguf_write_to_file(context, path.c_str(), false));
  gguf_free(context);
  if (torch_engine_fit(quantised, {}).sequences > 0) {
    CHECK_THROWS_AS(torch_engine_fit(path, {}), Error);  // its settings are missing
    CHECK_THROWS_AS(load_torch_engine(path), Error);
  }
  fs::remove(path);
  CHECK_THROWS_AS(load_torch_engine(path), Error);
}
