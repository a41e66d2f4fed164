// The upsampler with a language model that a test writes: order, choice, budget, resuming in the
// middle.
#include "pipeline/upsample.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/error.h"
#include "llm/sampler.h"
#include "pipeline/budget_guide.h"
#include "text/sentences.h"

using namespace longhand;

namespace {

/// Answers each sequence with `answer`, the last first, as a real batch may.
class Scripted : public LanguageModel {
 public:
  explicit Scripted(std::function<std::string(const Sequence&)> answer, bool steerable = true)
      : answer_(std::move(answer)), steerable_(steerable) {}
  std::string name() const override { return "scripted"; }
  bool steerable() const override { return steerable_; }
  void generate(const std::vector<Message>&, const std::function<std::optional<Sequence>()>& next,
                const std::function<void(Generated)>& done, const Sampling&) override {
    for (;;) {
      std::vector<Generated> made;
      while (auto sequence = next()) {
        made.push_back({sequence->id, answer_(*sequence)});
      }
      if (made.empty()) {
        return;
      }
      std::ranges::reverse(made);
      for (Generated& each : made) {
        done(std::move(each));
      }
    }
  }

 private:
  std::function<std::string(const Sequence&)> answer_;
  bool steerable_;
};

std::vector<Caption> run(std::function<std::string(const Sequence&)> answer,
                         const std::vector<std::string>& prompts, const UpsampleRequest& request,
                         std::int64_t first = 0, bool steerable = true) {
  const Upsampler upsampler(std::make_shared<Scripted>(std::move(answer), steerable),
                            Template::load("dalle3"), request);
  std::vector<Caption> captions;
  std::size_t at = 0;
  upsampler.upsample(
      [&]() -> std::optional<UpsampleRow> {
        if (at == prompts.size()) {
          return std::nullopt;
        }
        const auto number = first + static_cast<std::int64_t>(at);
        return UpsampleRow{.prompt = prompts[at++], .category = "", .turns = {}, .number = number};
      },
      [&](const Caption& caption) { captions.push_back(caption); });
  return captions;
}

}  // namespace

TEST_CASE("captions come in the rows' order, each row's best wins") {
  UpsampleRequest request;
  request.candidates = 3;
  const auto captions = run(
      [](const Sequence& s) {
        return s.id % 3 == 1
                   ? s.turns.back().content.substr(s.turns.back().content.rfind(": ") + 2) +
                         " stands in a wide field below a pale sky with a few clouds."
                   : std::string(
                         "something else entirely that nobody asked for, in a very dark room.");
      },
      {"a red car", "two dogs", "a horse"}, request, 40);
  REQUIRE(captions.size() == 3);
  CHECK(captions[0].prompt == "a red car");
  CHECK(captions[2].prompt == "a horse");
  for (const Caption& caption : captions) {
    CHECK(caption.lost.empty());
    CHECK(caption.caption.find("pale sky") != std::string::npos);
  }
}

TEST_CASE(
    "where no candidate keeps enough, the prompt goes in front; every caption fits and is "
    "finished") {
  UpsampleRequest request;
  for (const int budget : {20, 40, 77}) {
    request.max_tokens = budget;
    const auto captions = run(
        [](const Sequence&) {
          std::string text = "an unrelated scene in a quiet town.";
          for (int i = 0; i < 40; ++i) {
            text += " more and more words follow without";
          }
          return text;
        },
        {"Three cats and one dog sitting on the grass.", "A sign that says 'Deep Learning'."},
        request);
    for (const Caption& caption : captions) {
      CHECK(caption.tokens <= budget);
      CHECK(ends_finished(caption.caption));
      CHECK(caption.lost.empty());
    }
  }
}

TEST_CASE("a detailed prompt is kept, and made a finished sentence") {
  const std::string detailed =
      "A wide photograph of an old stone bridge over a green river at dawn, with mist on the "
      "water. "
      "Two fishermen in a wooden boat below it, and a row of poplars behind, painted in warm light";
  for (const std::string& prompt : {detailed, detailed + "."}) {
    const auto captions = run(
        [](const Sequence&) -> std::string {
          FAIL("asked");
          return "";
        },
        {prompt}, {});
    REQUIRE(captions.size() == 1);
    CHECK(captions[0].caption == detailed + ".");
  }
}

TEST_CASE("a quotation is kept letter for letter, however much else is") {
  const auto captions = run(
      [](const Sequence&) {
        return std::string(
            "A cheerful baker in a bright apron holds a wooden sign that says open beside fresh "
            "bread "
            "and warm cakes.");
      },
      {"A cheerful baker holds a wooden sign that says 'Open' beside fresh bread and warm cakes"},
      {});
  CHECK(captions[0].caption.find("'Open'") != std::string::npos);
}

TEST_CASE("random streams belong to a row and a candidate") {
  std::map<std::int64_t, std::uint64_t> whole, part;
  const auto record = [](std::map<std::int64_t, std::uint64_t>& into) {
    return [&into](const Sequence& s) {
      Random random = s.random;
      into[s.id] = random();
      return std::string("a cat sits on a mat in the warm light of a late summer evening sun.");
    };
  };
  run(record(whole), {"a", "b", "c"}, {});
  run(record(part), {"b", "c"}, {}, 1);
  for (const auto& [id, value] : part) {
    CHECK(whole.at(id) == value);
  }
}

TEST_CASE(
    "a model that cannot be steered is told the length and asked once more; its captions fit") {
  UpsampleRequest request;
  request.candidates = 2;
  std::string endless = "a red car stands";
  for (int i = 0; i < 60; ++i) {
    endless += " beside a wall, in the rain, and";
  }
  const std::string shorter =
      "a red car stands beside a wall in the rain, with a lamp above it and a wet street behind a "
      "row of vans.";
  // Each way: what it says first, what it says when asked again, which caption results.
  struct Way {
    std::string first, second;
    bool keeps_second;
  };
  for (const Way& way :
       {Way{endless, shorter, true}, Way{endless, endless, false}, Way{"", shorter, true},
        Way{shorter.substr(0, shorter.size() - 12), shorter, true}, Way{endless, "", false}}) {
    for (const int budget : {25, 40, 77}) {
      request.max_tokens = budget;
      std::map<std::int64_t, int> asked;
      std::set<std::uint64_t> streams;
      const auto captions = run(
          [&](const Sequence& s) {
            CHECK(s.guide == nullptr);
            CHECK(s.opening.empty());
            CHECK(s.turns.back().content.find(" words") != std::string::npos);
            Random random = s.random;
            streams.insert(random());
            const bool again = ++asked[s.id] == 2;
            CHECK(s.turns.size() == (again && !way.first.empty() ? 3 : 1));
            return again ? way.second : way.first;
          },
          {"a red car"}, request, 5, false);
      REQUIRE(captions.size() == 1);
      CHECK(captions[0].tokens <= budget);
      CHECK(ends_finished(captions[0].caption));
      CHECK(captions[0].lost.empty());
      CHECK(asked == std::map<std::int64_t, int>{{10, 2}, {11, 2}});
      CHECK(streams.size() == 4);
      CHECK((captions[0].caption == shorter) == (way.keeps_second && budget > 25));
    }
  }
}

TEST_CASE("a caption that fits is not asked for again, nor is one that is to be the model's own") {
  const std::string fits =
      "a red car stands beside a wall in the rain, with a lamp above it and a wet street.";
  for (const bool unguided : {false, true}) {
    UpsampleRequest request;
    request.unguided = unguided;
    int asked = 0;
    const auto captions = run(
        [&](const Sequence& s) {
          CHECK((s.turns.back().content.find(" words") == std::string::npos) == unguided);
          ++asked;
          return unguided ? std::string("a red car that") : fits;
        },
        {"a red car", "a red car"}, request, 0, false);
    CHECK(captions.size() == 2);
    CHECK(asked == 8);
  }
}

TEST_CASE("the guide ends no sentence in the middle and leaves no budget unguarded") {
  BudgetGuide guide(ClipTokenizer::shared(), 30, 4);
  CHECK(guide.step("a cat sits"));
  CHECK(guide.bias("", true) < -1e9F);
  CHECK(guide.bias("\n", false) < -1e9F);
  CHECK(guide.bias(" on", false) == 0);
  CHECK(guide.step("a cat sits here."));
  CHECK(guide.bias("", true) == 0);
  CHECK(guide.step("a cat sits on the mat and looks at a bird that sings in the tree"));
  CHECK(guide.bias(".", false) > 0);
  CHECK_FALSE(guide.step("a cat sits on the mat and looks at a bird that sings in the tree."));
}

TEST_CASE("sampling keeps to top-k, top-p and the bias") {
  const std::vector<float> logits = {0, 5, 1, 4.9F, -3};
  const auto top = top_candidates(logits, 3);
  REQUIRE(top.size() == 3);
  CHECK(top[0].token == 1);
  CHECK(top[2].token == 2);
  Random random({1});
  const auto none = [](int) { return 0.0F; };
  CHECK(sample_token(top, {0, 3, 1, 9}, none, random) == 1);
  CHECK(sample_token(top, {1, 3, 0, 9}, none, random) == 1);
  int seen[5] = {};
  for (int i = 0; i < 500; ++i) {
    ++seen[sample_token(top, {1, 3, 0.95, 9}, none, random)];
  }
  CHECK(seen[1] > 150);
  CHECK(seen[3] > 150);
  CHECK(seen[2] == 0);
  const auto forbid = [](int token) { return token == 1 ? -INFINITY : 0.0F; };
  CHECK(sample_token(top, {0, 3, 1, 9}, forbid, random) == 3);
  CHECK(sample_token(top, {1, 3, 1, 9}, [](int) { return -INFINITY; }, random) == -1);
}
