// What a picture's file says: the record comes back whole, A1111's text is as others read it, pages
// are safe to open.
#include "pipeline/picture_record.h"

#include <doctest/doctest.h>

#include "core/error.h"
#include "pipeline/compare.h"

using namespace longhand;

namespace {

PictureRecord example() {
  PictureRecord record;
  record.request.prompt = "a \"red\" car\nby the sea";
  record.request.n = 3;
  record.request.seed = 7;
  record.request.steps = 25;
  record.request.guidance = 4.5;
  record.request.size = Size{192, 128};
  record.request.scheduler = "euler";
  record.caption = "A red car on a sandy beach, émoji 🚗.";
  record.llm = "SmolLM2";
  record.prompt_template = "pocket";
  record.index = 2;
  return record;
}

}  // namespace

TEST_CASE("a record comes back from the picture's text") {
  const PictureRecord record = example();
  const PictureRecord back = picture_record(picture_text(record), "x.png");
  CHECK(request_to_json(back.request) == request_to_json(record.request));
  CHECK(back.request.prompt == record.request.prompt);
  CHECK(back.caption == record.caption);
  CHECK(back.llm == record.llm);
  CHECK(back.prompt_template == record.prompt_template);
  CHECK(back.index == 2);
  CHECK(picture_text(back) == picture_text(record));
}

TEST_CASE("A1111's text") {
  CHECK(
      a1111_parameters(example()) ==
      "A red car on a sandy beach, émoji 🚗.\nSteps: 25, Sampler: Euler, CFG scale: 4.5, Seed: 9, "
      "Size: 192x128, Model: pocket, Version: Longhand 0.1.0");
  PictureRecord without = example();
  without.request.negative_prompt = "blurry";
  CHECK(a1111_parameters(without).find("\nNegative prompt: blurry\nSteps: 25") !=
        std::string::npos);
}

TEST_CASE("pictures of others, and broken records, are refused") {
  const auto kind_of = [](const ImageText& text) {
    try {
      picture_record(text, "x.png");
    } catch (const Error& error) {
      return error.kind();
    }
    return Kind::internal;
  };
  CHECK(kind_of({{"parameters", "a cat"}}) == Kind::invalid_argument);
  CHECK(kind_of({{"longhand", "{"}}) == Kind::corrupt);
  CHECK(kind_of({{"longhand", "{\"prompt\": 3}"}}) == Kind::corrupt);
  CHECK(kind_of({{"longhand", "{\"steps\": 100000}"}}) == Kind::invalid_argument);
}

TEST_CASE("a gallery shows texts as texts") {
  const std::string page =
      gallery_html({"pocket", "knows <few> things", "llm", "template", "25 steps"},
                   {{"a <script>alert(1)</script> & \"cat\"", "caption", "Colors", "", "a.png",
                     "b.png", "7", 0.5, 1.25, 40}});
  CHECK(page.find("<script>") == std::string::npos);
  CHECK(page.find("a &lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;cat&quot;") !=
        std::string::npos);
  CHECK(page.find("Colors · seed 7 · 40 tokens · lengthened in 0.50 s, painted in 1.25 s") !=
        std::string::npos);
  CHECK(page.find("{{") == std::string::npos);
}
