// Any text: ids in range and within bounds, what was cut to fit fits and ends; or
// Error{invalid_argument} where it is not UTF-8.
#include <algorithm>
#include <cstdlib>

#include "core/error.h"
#include "text/clip_tokenizer.h"
#include "text/fidelity.h"
#include "text/sentences.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace longhand;
  static const auto tokenizer = ClipTokenizer::shared();
  const std::string text(reinterpret_cast<const char*>(data), size);
  try {
    const auto ids = tokenizer->encode(text);
    const bool known = std::ranges::all_of(
        ids, [](int id) { return id >= 0 && id < ClipTokenizer::vocabulary_size; });
    const std::string fitting = cut_to_fit(tidy(text), *tokenizer, 20);
    if (!known || tokenizer->count(fitting) > 20 ||
        tokenizer->encode_padded(text, 77, ClipTokenizer::end_of_text).size() != 77) {
      std::abort();
    }
    tokenizer->decode(ids);
    Demands(text).judge(fitting);
  } catch (const Error& error) {
    if (error.kind() != Kind::invalid_argument) {
      std::abort();
    }
  }
  return 0;
}
