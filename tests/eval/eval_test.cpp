// Tasks ask for what is held out from training, and judge by what a detector reads.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/error.h"
#include "core/files.h"
#include "eval/caption_study.h"
#include "eval/curves.h"
#include "eval/evaluation.h"
#include "eval/report.h"
#include "eval/sdedit_report.h"

using namespace longhand;

namespace {

const World& small() {
  static const World world("small");
  return world;
}

Detection seen(const std::string& thing, double x, double y, const std::string& colour = "",
               const std::string& word = "") {
  return {thing, colour, word, 0.9, x, y, 0.3, 0.3};
}

/// What a perfect detector would read in a scene of the task's, laid out in a row.
SceneReading perfect(const Scene& scene) {
  SceneReading reading{{}, scene.place, scene.weather, scene.style};
  double x = 0.1;
  for (const Figure& figure : scene.figures) {
    for (int i = 0; i < figure.count; ++i, x += 0.2) {
      reading.things.push_back(seen(figure.thing, x, 0.5, figure.colour, figure.text));
    }
  }
  if (scene.figures.size() == 2) {
    Detection &a = reading.things[0], &b = reading.things[1];
    a.x = scene.relation == "left of" ? 0.2 : scene.relation == "right of" ? 0.8 : 0.5;
    a.y = scene.relation == "above" ? 0.2 : scene.relation == "below" ? 0.8 : 0.5;
    b.x = scene.relation == "next to" ? 0.8 : 0.5;
    b.y = 0.5;
  }
  return reading;
}

Scene scene_of(const std::vector<Figure>& figures, const std::string& relation = "") {
  return {figures, relation, "flat", "in a forest", "large"};
}

TestPrompt prompt_of(const std::string& task, const Scene& scene) { return {task, "", "", scene}; }

bool follows(const std::string& task, const Scene& scene, const SceneReading& reading) {
  return judge(prompt_of(task, scene), reading).follows;
}

}  // namespace

TEST_CASE("every task has as many prompts as asked for, held out and the same each time") {
  for (const std::string& task : task_names()) {
    CAPTURE(task);
    const auto prompts = test_prompts(small(), task, 25, 7);
    REQUIRE(prompts.size() == 25);
    const auto again = test_prompts(small(), task, 5, 7);
    std::set<std::string> different;
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      const TestPrompt& prompt = prompts[i];
      CAPTURE(prompt.prompt);
      CHECK(small().held_out(prompt.scene) == (task != "single thing"));
      CHECK(prompt.description.size() > prompt.prompt.size());
      CHECK(judge(prompt, perfect(prompt.scene)).follows);
      CHECK_FALSE(judge(prompt, {}).follows);
      different.insert(prompt.prompt);
      if (i < again.size()) {
        CHECK(again[i].prompt == prompt.prompt);
        CHECK(World::graph(again[i].scene) == World::graph(prompt.scene));
      }
    }
    CHECK(different.size() > 8);  // few words in few places are held out
  }
  CHECK_THROWS_AS(test_prompts(small(), "juggling", 1, 0), Error);
}

TEST_CASE("a picture that misses what its task asks for is not right") {
  const Scene dogs = scene_of({{"dog", "", 3}});
  CHECK(follows("counting", dogs,
                {{seen("dog", 0.2, 0.5), seen("dog", 0.5, 0.5), seen("dog", 0.8, 0.5)}}));
  CHECK_FALSE(follows("counting", dogs, {{seen("dog", 0.2, 0.5), seen("dog", 0.5, 0.5)}}));
  CHECK_FALSE(follows("counting", dogs,
                      {{seen("dog", 0.2, 0.5), seen("dog", 0.5, 0.5), seen("cat", 0.8, 0.5)}}));

  const Scene pair = scene_of({{"dog", "red", 1}, {"car", "blue", 1}}, "left of");
  CHECK(follows("colour attribution", pair,
                {{seen("dog", 0.2, 0.5, "red"), seen("car", 0.8, 0.5, "blue")}}));
  CHECK_FALSE(follows("colour attribution", pair,
                      {{seen("dog", 0.2, 0.5, "blue"), seen("car", 0.8, 0.5, "red")}}));
  Scene plain = pair;
  plain.figures[0].colour = plain.figures[1].colour = "";
  CHECK(follows("position", plain, {{seen("dog", 0.2, 0.5), seen("car", 0.8, 0.5)}}));
  CHECK_FALSE(follows("position", plain, {{seen("dog", 0.8, 0.5), seen("car", 0.2, 0.5)}}));
  // As near as a tenth of their extents is not clearly left: 0.05 < 0.1 · (0.3 + 0.3).
  CHECK_FALSE(follows("position", plain, {{seen("dog", 0.45, 0.5), seen("car", 0.5, 0.5)}}));

  const Scene sign = scene_of({{"sign", "", 1, "STOP"}});
  CHECK(follows("word on a sign", sign, {{seen("sign", 0.5, 0.5, "", "STOP")}}));
  CHECK_FALSE(follows("word on a sign", sign, {{seen("sign", 0.5, 0.5, "", "SHOP")}}));
  CHECK(follows("place", sign, {{seen("sign", 0.5, 0.5, "", "STOP")}, "in a forest"}));
  CHECK_FALSE(follows("place", sign, {{seen("sign", 0.5, 0.5, "", "STOP")}, "in a desert"}));
}

TEST_CASE("the shipped judge reads the world's own pictures") {
  const SceneJudge judged(home() / "models" / "detector", "float32");
  int right = 0, all = 0;
  for (const std::string& task : task_names()) {
    for (const TestPrompt& prompt : test_prompts(small(), task, 10, 3)) {
      right += judge(prompt, judged.read({small().draw(prompt.scene, 128)})[0]).follows;
      ++all;
    }
  }
  CHECK(right >= 0.97 * all);  // measured 99 % of 360
}

TEST_CASE("bounds of a share") {
  // Wilson's, as statsmodels' proportion_confint(method="wilson") gives them.
  const Share some = share_of(80, 100);
  CHECK(some.share == doctest::Approx(0.8));
  CHECK(some.low == doctest::Approx(0.711170).epsilon(1e-5));
  CHECK(some.high == doctest::Approx(0.866633).epsilon(1e-5));
  CHECK(share_of(0, 10).low == doctest::Approx(0).epsilon(1e-9));
  CHECK(share_of(0, 30).low >= 0);
  CHECK(share_of(10, 10).low == doctest::Approx(0.722467).epsilon(1e-5));
}

TEST_CASE("the report tells each task's share, and what was misread, as text") {
  const std::vector<ReportRow> rows = {
      {"counting", "truth", "three <dogs>", "", "images/0.png", false, "dog, dog; forest"},
      {"counting", "short", "three <dogs>", "three dogs", "images/1.png", true, "dog, dog, dog"},
      {"colours", "short", "a red dog", "a red dog", "images/2.png", false, "dog"},
  };
  const std::string page = report_html({"pocket", "25 steps"}, rows);
  CHECK(page.find("three &lt;dogs&gt;") != std::string::npos);
  CHECK(page.find("<dogs>") == std::string::npos);
  CHECK(page.find("{{") == std::string::npos);
  CHECK(page.find("read as dog, dog; forest") != std::string::npos);
  CHECK(page.find("50.0 %") != std::string::npos);  // of all tasks, short
  const std::string table = report_table(rows);
  CHECK(table.find("counting") < table.find("colours"));
  CHECK(table.find("100.0 %") != std::string::npos);
}

TEST_CASE("the kernel distance is 0 in the mean for samples of one kind, and grows with theirs") {
  at::manual_seed(3);
  const auto sample = [](double shift) { return at::randn({1000, 16}) + shift; };
  const at::Tensor one = sample(0);
  CHECK(std::abs(kernel_distance(one, sample(0))) < 0.02);
  CHECK(kernel_distance(one, sample(0.5)) > 0.05);
  CHECK(kernel_distance(one, sample(1)) > kernel_distance(one, sample(0.5)));
  // By hand, of unit vectors in a plane: k is (x·y/2 + 1)³ of vectors of length √2, that is 8 for
  // equal, 1 for perpendicular, 0 for opposite ones.
  const at::Tensor right = at::tensor({1.0, 0.0, 1.0, 0.0}).view({2, 2});
  const at::Tensor up = at::tensor({0.0, 1.0, 0.0, 1.0}).view({2, 2});
  CHECK(kernel_distance(right, up) == doctest::Approx(8 + 8 - 2 * 1));
  CHECK(kernel_distance(right, -right) == doctest::Approx(8 + 8 - 0));
}

TEST_CASE("the best strength is where both distances are small") {
  SdeditStudy study{{0, 1, 0}, {{0.2, 0.9, 0.1}, {0.5, 0.2, 0.2}, {0.8, 0.1, 0.9}}};
  CHECK(study.best() == 1);
  CHECK(sdedit_table(study).find("best") != std::string::npos);
  const std::string page = sdedit_html({"pocket", "25 steps"}, {}, study, {"images/000.png"});
  CHECK(page.find("{{") == std::string::npos);
  CHECK(page.find("images/000.png") != std::string::npos);
  CHECK(page.find("Strokes") != std::string::npos);
  const std::string pasted =
      sdedit_html({"pocket", "25 steps"}, {.guide = SdeditGuide::paste}, study, {});
  CHECK(pasted.find("pasted into each scene") != std::string::npos);
}

TEST_CASE("curves: a painter's last evaluation is what the table has") {
  const auto rows = [](int right, double clip) {
    std::vector<ReportRow> made;
    for (int i = 0; i < 4; ++i) {
      made.push_back(
          {"counting", "short", "two dogs", "two dogs", "images/0.png", i < right, "", clip});
    }
    return made;
  };
  const std::vector<PainterEvaluation> evaluations = {
      {"alt", 2000, rows(3, 30)}, {"alt", 1000, rows(1, 20)}, {"mix", 1000, rows(4, 40.25)}};
  CHECK(curves_table(evaluations) ==
        "| painter | pictures | short |\n|---|---|---|\n"
        "| alt | 2000 | 75.0 % (30–95), 30.0 |\n| mix | 1000 | 100.0 % (51–100), 40.2 |\n");
  const std::string html = curves_html(evaluations, ".");
  CHECK(html.find("short: prompts followed") != std::string::npos);
  CHECK(html.find("short: CLIP score") != std::string::npos);
  CHECK(html.find("<img src=\"images/0.png\"") != std::string::npos);
  CHECK_THROWS_AS(PainterEvaluation::read("no_number"), Error);
}

TEST_CASE("a caption is judged by what the scene has to tell") {
  const Scene scene{{{"dog", "red", 2, ""}, {"cat", "", 1, ""}},
                    "next to",
                    "flat",
                    "on a wooden table",
                    "large",
                    0,
                    ""};
  const auto told = [&](const std::string& caption) { return told_of(small(), scene, caption); };
  const auto right = told("Two red dogs beside a cat on a wooden table, drawn in a flat style.");
  CHECK(right.at("all of it"));
  CHECK(right.size() == 8);  // no weather, no word
  CHECK_FALSE(told("Two blue dogs beside a cat on a wooden table, in a flat style.").at("colours"));
  CHECK_FALSE(told("Two dogs beside a red cat on a wooden table, in a flat style.").at("colours"));
  CHECK_FALSE(told("Three red dogs beside a cat on a wooden table.").at("numbers"));
  CHECK_FALSE(told("Two red dogs on a wooden table.").at("things"));
  CHECK_FALSE(told("Two red dogs beside a cat on a sandy beach.").at("place"));
  CHECK_FALSE(told("Two red dogs beside a cat, with bold outlines.").at("style"));
  CHECK(told("A cat to the right of two red dogs. The dogs are on the left.").at("position"));
  CHECK_FALSE(told("A cat to the left of two red dogs.").at("position"));
  CHECK_FALSE(told("Two red dogs next to a cat. The cat is on the left.").at("position"));
  CHECK_FALSE(told("Two red dogs on top of a cat.").at("position"));
  CHECK_FALSE(told("Two red dogs and a cat.").at("position"));
  const auto more = told("Two red dogs, a cat and a cow on a wooden table, in a flat style.");
  CHECK_FALSE(more.at("nothing else"));
  CHECK_FALSE(more.at("all of it"));
  const Scene sign{{{"sign", "", 1, "STOP"}}, "", "bold outline", "in a forest", "large", 0, ""};
  CHECK(told_of(small(), sign, "A sign that says STOP.").at("words on signs"));
  CHECK(told_of(small(), sign, "A sign reading \"stop\".").at("words on signs"));
  CHECK_FALSE(told_of(small(), sign, "A sign that says \"SHOP\".").at("words on signs"));
}

TEST_CASE("the world's own descriptions tell all of their scenes") {
  for (std::uint64_t i = 0; i < 300; ++i) {
    Random random({9, i});
    const Scene scene = small().sample_with_held_out(random);
    const std::string caption = small().descriptive_caption(scene, random);
    CHECK_MESSAGE(told_of(small(), scene, caption).at("all of it"), caption);
  }
}
