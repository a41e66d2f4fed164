// Templates, sentences within a budget, and what a caption keeps of a prompt.
#include <doctest/doctest.h>

#include "core/error.h"
#include "core/random.h"
#include "text/emphasis.h"
#include "text/fidelity.h"
#include "text/sentences.h"
#include "text/template.h"

using namespace longhand;

TEST_CASE("the report's template") {
  const Template dalle3 = Template::load("dalle3");
  const auto shared = dalle3.shared();
  REQUIRE(shared.size() == 7);
  CHECK(shared[0].role == "system");
  CHECK(shared[6].content.starts_with("a frog sits on a worn table"));
  CHECK(dalle3.ask("a cat").content.ends_with("'a cat'"));
  CHECK(dalle3.modify("a cat", "a cat.", "make it red").size() == 3);
}

TEST_CASE("a template may name the prompt twice") {
  Template made;
  made.user = "Describe {prompt}. Keep {prompt}.";
  CHECK(made.ask("a {prompt}").content == "Describe a {prompt}. Keep a {prompt}.");
}

TEST_CASE("broken templates say what they lack") {
  for (const char* json :
       {"", "[]", "{}", R"({"name":"x"})", R"({"name":1,"system":"s","user":"{prompt}"})",
        R"({"name":"x","system":"s","user":"no place"})",
        R"({"name":"x","system":"s","user":"{prompt}","turns":3})",
        R"({"name":"x","system":"s","user":"{prompt}","temperature":"warm"})",
        R"({"name":"x","system":"s","user":"{prompt}","temperature":-1})",
        R"({"name":"x","system":"s","user":"{prompt}","turns":[{"user":"u"}]})"}) {
    CHECK_THROWS_WITH_AS(Template::parse(json, "t.json"), doctest::Contains("t.json"), Error);
  }
}

TEST_CASE("finished and unfinished") {
  for (const char* text : {"A cat.", "Is it?", "He said \"stop.\"", "A sign (red)."}) {
    CHECK_MESSAGE(ends_finished(text), text);
  }
  for (const char* text : {"", "A cat", "A cat,", "Mr.", "A sign says \"stop.", "with a"}) {
    CHECK_FALSE_MESSAGE(ends_finished(text), text);
  }
}

TEST_CASE("whatever is cut fits the budget and is finished") {
  const auto tokenizer = ClipTokenizer::shared();
  const std::vector<std::string> pieces = {
      "a",          "cat", "sits", "on,", "the",  "mat.", "\"Deep",
      "Learning\"", "Mr.", "🐈",   "and", "with", "!?",   "supercalifragilisticexpialidocious",
      "...",        "\n",  "''"};
  for (std::uint64_t i = 0; i < 2000; ++i) {
    Random random({3, i});
    std::string text;
    for (int words = 1 + random.below(120); words > 0; --words) {
      text += random.pick(pieces) + " ";
    }
    const int budget = 5 + random.below(75);
    const std::string cut = cut_to_fit(text, *tokenizer, budget);
    CHECK(tokenizer->count(cut) <= budget);
    if (!tidy(text).empty()) {
      CHECK_FALSE(cut.empty());
    }
    const std::string front = prompt_in_front("two cats on a mat", text, *tokenizer, budget);
    CHECK(tokenizer->count(front) <= budget);
  }
  CHECK(cut_to_fit("A cat sits. A dog runs away from", *tokenizer, 77) == "A cat sits.");
  CHECK(cut_to_fit("a cat sits on a mat, and a", *tokenizer, 77) == "a cat sits on a mat.");
}

TEST_CASE("emphasis, as A1111 reads it") {
  using Pieces = std::vector<WeightedText>;
  CHECK(parse_emphasis("a red car") == Pieces{{"a red car", 1}});
  CHECK(parse_emphasis("") == Pieces{});
  CHECK(parse_emphasis("a (red) car") == Pieces{{"a ", 1}, {"red", 1.1}, {" car", 1}});
  CHECK(parse_emphasis("a (red:1.3) car") == Pieces{{"a ", 1}, {"red", 1.3}, {" car", 1}});
  CHECK(parse_emphasis("a [red] car")[1].weight == doctest::Approx(1 / 1.1));
  CHECK(parse_emphasis("((a))")[0].weight == doctest::Approx(1.21));
  CHECK(parse_emphasis("(a (b:2) c:0.5)") == Pieces{{"a ", 0.5}, {"b", 1}, {" c", 0.5}});
  CHECK(parse_emphasis("\\(a\\) b") == Pieces{{"(a) b", 1}});
  CHECK(parse_emphasis("at 3:30) (x: y)") == Pieces{{"at 3:30) ", 1}, {"x: y", 1.1}});
  CHECK(parse_emphasis("(open") == Pieces{{"open", 1.1}});
  const Pieces deep = parse_emphasis(std::string(30000, '(') + "a" + std::string(30000, ')'));
  REQUIRE(deep.size() == 2);
  CHECK(deep[0].text == std::string(30000 - 64, '(') + "a");
  CHECK(deep[1] == WeightedText{std::string(30000 - 64, ')'), 1});
  CHECK(parse_emphasis("(a:nan) ]") == Pieces{{"a:nan", 1.1}, {" ]", 1}});
}

TEST_CASE("prompts from outside are checked") {
  CHECK_NOTHROW(check_prompt("a cat\nand a dog", "row 1"));
  for (const std::string& prompt :
       {std::string(), std::string("  \n"), std::string(1 << 20, 'a'), std::string("\xff\xfe"),
        std::string("a\x01b"), std::string("a\0b", 3)}) {
    CHECK_THROWS_WITH_AS(check_prompt(prompt, "row 7 of x.csv"), doctest::Contains("row 7"), Error);
  }
}

TEST_CASE("what a caption keeps") {
  struct Case {
    const char* prompt;
    const char* caption;
    std::vector<std::string> lost;
  };
  const Case cases[] = {
      {"A red colored car.", "a red car stands on a street.", {}},
      {"A red colored car.", "a blue car near a red house.", {"red car"}},
      {"A red colored car.", "the car is red and shiny.", {}},
      {"One cat and two dogs sitting on the grass.",
       "one cat and two small dogs sit on green grass.",
       {}},
      {"One cat and two dogs sitting on the grass.",
       "two cats and two dogs sit on a bed of grass.",
       {"one cat"}},
      {"Three cars on the street.", "3 cars are parked on the street.", {}},
      {"A black apple and a green backpack.",
       "a green apple and a black backpack.",
       {"black apple", "green backpack"}},
      {"A carrot on the left of a broccoli.", "to the left of the broccoli lies a carrot.", {}},
      {"A carrot on the left of a broccoli.", "a carrot and some broccoli.", {"left of"}},
      {"A sign that says 'Deep Learning'.", "a sign that reads \"Deep Learning\".", {}},
      {"A sign that says 'Deep Learning'.", "a sign that reads deep learning.", {"Deep Learning"}},
      {"a frog playing dominoes",
       "a young woman wearing a red dress.",
       {"frog", "playing", "dominoes"}},
      {"A mouse eating cheese", "two mice ate some cheese.", {}},
      {"the dog's bone isn't big", "a dog with a big bone.", {"isnt"}},
      {"two cats with a sign that says \"cat\"",
       "a cat with a sign that says \"cat\".",
       {"two cats"}},
      {"a sign saying “OPEN”", "a sign that says \"OPEN\".", {}},
      {"a cat — black — on a mat", "a black cat on a mat.", {}},
      {"the dog’s ball", "the dog's ball…", {}},
  };
  for (const Case& each : cases) {
    const Verdict verdict = Demands(each.prompt).judge(each.caption);
    CHECK_MESSAGE(verdict.lost == each.lost, each.prompt, " / ", each.caption);
    CHECK((verdict.score == 1) == each.lost.empty());
  }
}

TEST_CASE("a caption that puts things on the wrong side, or makes one another, contradicts") {
  const Demands demands("a pig to the right of a small doughnut");
  const Verdict good = demands.judge(
      "A pig to the right of a doughnut on a meadow. The doughnut is on the left and the pig is on "
      "the right. A tree stands on the left.");
  CHECK(good.contradictions.empty());
  const Verdict bad = demands.judge(
      "A pig to the right of a doughnut. The pig is on the left and the doughnut is on the right.");
  CHECK(bad.contradictions == std::vector<std::string>{"pig on the left", "doughnut on the right"});
  CHECK(bad.score < good.score);
  CHECK(
      Demands("the cup left of the red book").judge("A red book is on the left.").contradictions ==
      std::vector<std::string>{"book on the left"});

  const Demands above("a cat above the car");
  CHECK(above.judge("A cat above the car. The cat is in the center.").contradictions.empty());
  CHECK(above.judge("The cat is on the left and the car is on the right.").contradictions ==
        std::vector<std::string>{"cat on the left", "car on the right"});

  CHECK(Demands("a mouse and a tiger")
            .judge("A mouse and a tiger. The mouse is a tiger.")
            .contradictions == std::vector<std::string>{"mouse is tiger"});
  CHECK(
      Demands("the man is a doctor").judge("The man is a doctor in white.").contradictions.empty());
}

TEST_CASE("a caption that is drawn in another way than was asked for contradicts") {
  const Demands outlined("a cat, drawn with bold outlines");
  CHECK(outlined.judge("A cat on a meadow, with bold outlines.").contradictions.empty());
  CHECK(outlined.judge("A cat with bold outlines, drawn in a flat style.").contradictions ==
        std::vector<std::string>{"flat style"});
  CHECK(Demands("a photo of a fox").judge("A photo of a fox, in watercolour.").contradictions ==
        std::vector<std::string>{"watercolor"});
  CHECK(Demands("a photo of an oil painting")
            .judge("A photograph of an oil painting.")
            .contradictions.empty());
  CHECK(Demands("a fox").judge("A watercolor of a fox, in a flat style.").contradictions.empty());
}

TEST_CASE("a caption that contradicts the prompt, or itself, scores lower") {
  const Demands demands("a green apple and two dogs");
  const Verdict good = demands.judge("a green apple and two dogs. The apple is green.");
  CHECK(good.score == 1);
  CHECK(good.contradictions.empty());
  const Verdict bad =
      demands.judge("a green apple and two dogs. The apple is red. Three dogs on a red apple.");
  CHECK(bad.lost.empty());
  CHECK(bad.contradictions == std::vector<std::string>{"red apple", "three dogs"});
  CHECK(bad.score < good.score);
  CHECK(Demands("two red cars and a blue car")
            .judge("two red cars and a blue car on a red road.")
            .contradictions.empty());
}

TEST_CASE("a prompt over the budget is cut at a word where that keeps more") {
  const auto tokenizer = ClipTokenizer::shared();
  const std::string text = "a red cat, and three dogs on a mat in front of a house";
  CHECK(cut_to_fit(text, *tokenizer, 13) == "a red cat.");
  CHECK(cut_at_word(text, *tokenizer, 13) == "a red cat, and three dogs on a mat.");
}

TEST_CASE("what is not cut keeps its last word") {
  const auto tokenizer = ClipTokenizer::shared();
  CHECK(cut_at_word("a lamp turned on", *tokenizer, 20) == "a lamp turned on.");
  CHECK(prompt_in_front("a lamp turned on", "", *tokenizer, 20) == "a lamp turned on.");
  CHECK(cut_at_word(" a lamp turned on, ", *tokenizer, 20) == "a lamp turned on.");
  CHECK(prompt_in_front("a lamp, ", "", *tokenizer, 20) == "a lamp.");
  CHECK(cut_at_word("a lamp turned on a table", *tokenizer, 7) == "a lamp turned.");
}

TEST_CASE("loops count against a caption") {
  CHECK(repetition("a cat sits on a mat in the sun.") == 0);
  CHECK(repetition("a cat sits on a mat, a cat sits on a mat, a cat sits on a mat.") > 0.4);
}

TEST_CASE("quotes within quotes are demands of their own") {
  const Demands demands("*'.*\"%@%\"'.'@/");
  CHECK(demands.all().size() >= 2);
  CHECK(Demands("a sign that says \"it's 'late'\"")
            .judge("a sign says \"it's 'late'\" there.")
            .quotes.kept >= 1);
}

TEST_CASE("halves of characters, as a language model's pieces may be, are passed over") {
  CHECK(tidy("a cat \xf0\x9f") == "a cat");
  CHECK(tidy("\x90\xb1 a cat \xf0\x9f\x90\xb1.") == "a cat \xf0\x9f\x90\xb1.");
}

TEST_CASE("long texts are cut without working through all of them") {
  const auto tokenizer = ClipTokenizer::shared();
  std::string words, sentences, one(60000, 'x');
  for (int i = 0; i < 15000; ++i) {
    words += "cat ";
    sentences += "A. ";
  }
  for (const std::string& text : {words, sentences, one}) {
    const std::string cut = cut_to_fit(text, *tokenizer, 77);
    CHECK(tokenizer->count(cut) <= 77);
    CHECK_FALSE(cut.empty());
    CHECK(tokenizer->count(prompt_in_front(text, "A cat.", *tokenizer, 77)) <= 77);
  }
}
