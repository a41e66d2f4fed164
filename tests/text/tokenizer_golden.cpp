// The same ids as transformers' CLIPTokenizer on the shared prompts and on fuzzed Unicode.
#include <doctest/doctest.h>
#include <zlib.h>

#include <array>
#include <nlohmann/json.hpp>

#include "text/clip_tokenizer.h"

using namespace longhand;

TEST_CASE("ids agree with transformers") {
  const auto tokenizer = ClipTokenizer::shared();
  const gzFile file = gzopen(LONGHAND_TESTS "/golden/tokenizer.jsonl.gz", "rb");
  REQUIRE(file != nullptr);
  std::array<char, 1 << 16> line{};
  int count = 0;
  while (gzgets(file, line.data(), line.size()) != nullptr) {
    const auto entry = nlohmann::json::parse(line.data());
    const auto text = entry["text"].get<std::string>();
    CHECK_MESSAGE(tokenizer->encode(text) == entry["ids"].get<std::vector<int>>(), text);
    ++count;
  }
  gzclose(file);
  CHECK(count > 6000);
}
