#include "text/clip_tokenizer.h"

#include <doctest/doctest.h>

#include "core/error.h"

using namespace longhand;

TEST_CASE("ids of a known prompt") {
  const auto tokenizer = ClipTokenizer::shared();
  CHECK(tokenizer->encode("a photo of a cat") == std::vector<int>{320, 1125, 539, 320, 2368});
  CHECK(tokenizer->count("") == 2);
  CHECK(tokenizer->encode("A  Photo\nOF a CAT") == tokenizer->encode("a photo of a cat"));
}

TEST_CASE("decoding gives the words back") {
  const auto tokenizer = ClipTokenizer::shared();
  const std::string text = "three pandas, drinking latte — 10 cups";
  CHECK(tokenizer->encode(tokenizer->decode(tokenizer->encode(text))) == tokenizer->encode(text));
}

TEST_CASE("padded to a length, cut to it") {
  const auto tokenizer = ClipTokenizer::shared();
  const auto padded = tokenizer->encode_padded("a cat", 6, 0);
  CHECK(padded == std::vector<int>{49406, 320, 2368, 49407, 0, 0});
  const auto cut = tokenizer->encode_padded(std::string(400, 'x') + " a b c d", 4, 0);
  CHECK(cut.size() == 4);
  CHECK(cut.back() == ClipTokenizer::end_of_text);
}

TEST_CASE("text that is not UTF-8 is refused, with its place") {
  const auto tokenizer = ClipTokenizer::shared();
  for (const char* text : {"a\xff", "a\xc3", "a\xed\xa0\x80", "a\xf5\x80\x80\x80"}) {
    CHECK_THROWS_WITH_AS(tokenizer->encode(text), doctest::Contains("byte 1"), Error);
  }
}
