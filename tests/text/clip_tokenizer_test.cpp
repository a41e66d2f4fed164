#include "text/clip_tokenizer.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "../refusals.h"
#include "core/error.h"
#include "core/files.h"

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

TEST_CASE("half a character is no UTF-8, and is replaced") {
  const auto tokenizer = ClipTokenizer::shared();
  CHECK(tokenizer->decode(std::vector<int>{158}) == "\xEF\xBF\xBD");  // the byte 0xE2 alone
  CHECK(tokenizer->decode(tokenizer->encode("\xE2\x82\xAC")) == "\xE2\x82\xAC");
}

TEST_CASE("a model's own vocabulary: the embedded one's has the words of its world whole") {
  const auto own = ClipTokenizer::of_folder(home() / "models" / "pocket" / "tokenizer_2");
  const auto whole = ClipTokenizer::shared();
  CHECK(own->size() < ClipTokenizer::vocabulary_size);
  CHECK(own->end() == own->size() - 1);
  for (const char* text :
       {"Four giraffes in a desert, softly shaded.", "two teapots on doughnuts"}) {
    CAPTURE(text);
    CHECK(own->count(text) == whole->count(text));
    CHECK(own->decode(own->encode(text)) == whole->decode(whole->encode(text)));
  }
  const char* strange = "a hippopotamus of chrysanthemums";
  CHECK(own->count(strange) > whole->count(strange));
  CHECK(own->decode(own->encode(strange)) == strange);
}

TEST_CASE("a folder whose merges are no part of CLIP's is refused") {
  const fs::path folder = fs::temp_directory_path() / "longhand_merges_test";
  const auto refusal = [&](const std::string& merges) {
    write_file_atomically(folder / "merges.txt", merges);
    return longhand::refusal([&] { ClipTokenizer::of_folder(folder); }, Kind::corrupt);
  };
  CHECK(has(refusal("#version: 0.2\nt h\nthe\n"), "line 3 is not a merge of two symbols"));
  CHECK(
      has(refusal("#version: 0.2\nth e\n"), "line 2 merges a symbol that no line before it made"));
  CHECK(has(refusal(""), "a vocabulary of 513 tokens"));
  CHECK(has(refusal(std::string(60000, '\n')), "cannot be a part of CLIP's"));
  write_file_atomically(folder / "merges.txt", "#version: 0.2\nt h\nth e");
  CHECK(ClipTokenizer::of_folder(folder)->size() == 516);
  fs::remove_all(folder);
}

TEST_CASE("the vocabulary's beginning: the same ids, words beyond it in pieces") {
  const auto beginning = ClipTokenizer::beginning(2048);
  CHECK(beginning->start() == 2046);
  CHECK(beginning->end() == 2047);
  const auto whole = ClipTokenizer::shared();
  for (const char* text :
       {"a red car on the beach.", "two hippopotamuses, softly shaded", "über 17 ä"}) {
    CAPTURE(text);
    const std::vector<int> ids = beginning->encode(text);
    CHECK(std::ranges::all_of(ids, [](int id) { return id < 2046; }));
    CHECK(ids.size() >= whole->encode(text).size());
    CHECK(beginning->decode(ids) == whole->decode(whole->encode(text)));
  }
  CHECK(beginning->encode("the red car") == whole->encode("the red car"));
  CHECK(beginning->encode_padded("the", 4, 0) ==
        std::vector<int>{2046, whole->encode("the")[0], 2047, 0});
  CHECK_THROWS_AS(ClipTokenizer::beginning(100), Error);
  CHECK_THROWS_AS(ClipTokenizer::beginning(50000), Error);
}
