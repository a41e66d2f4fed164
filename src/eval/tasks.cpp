#include "eval/tasks.h"

#include <algorithm>
#include <functional>
#include <map>

#include "core/error.h"
#include "world/nouns.h"
#include "world/phrases.h"

namespace longhand {
namespace {

constexpr int tries = 20000;
constexpr double clearly = 0.1;  // of the sum of two extents: GenEval's margin for positions

using Draw = std::function<Scene(const World&, Random&)>;

/// Scenes until one is as wanted.
Scene drawn(const World& world, Random& random, const Draw& draw,
            const std::function<bool(const Scene&)>& wanted) {
  for (int i = 0; i < tries; ++i) {
    if (Scene scene = draw(world, random); wanted(scene)) {
      return scene;
    }
  }
  fail(Kind::invalid_argument,
       "the world holds out no combination that this task could ask for; \"held_out\" in its file "
       "says what it does");
}

/// A scene as training has them, of one or two single things in their own colours.
Scene plain(const World& world, Random& random, std::size_t figures) {
  return drawn(
      world, random,
      [](const World& w, Random& r) {
        Scene scene = w.sample(r);
        for (Figure& figure : scene.figures) {
          figure.count = 1;
          figure.colour = "";
        }
        return scene;
      },
      [&](const Scene& scene) {
        return scene.figures.size() == figures && scene.figures.front().text.empty() &&
               scene.figures.back().text.empty();
      });
}

Scene single(const World& world, Random& random) { return plain(world, random, 1); }

/// A plain scene with one change after which it is held out: by that change's combination.
Draw changed(std::size_t figures,
             const std::function<void(Scene&, const World&, Random&)>& change) {
  return [=](const World& world, Random& random) {
    return drawn(
        world, random,
        [&](const World& w, Random& r) {
          Scene scene = plain(w, r, figures);
          change(scene, w, r);
          return scene;
        },
        [&](const Scene& scene) {
          const bool distinct = scene.figures.front().thing != scene.figures.back().thing;
          return world.held_out(scene) && !world.avoids(scene) && (figures == 1 || distinct);
        });
  };
}

/// Two things that are held out together, in one of these relations.
Draw pair(const std::vector<std::string>& relations) {
  return [=](const World& world, Random& random) {
    const auto alone = [&](const Scene& scene, std::size_t figure) {
      Scene one = scene;
      one.figures = {scene.figures[figure]};
      one.relation = "";
      return world.held_out(one);
    };
    return drawn(
        world, random,
        [&](const World& w, Random& r) {
          Scene scene = plain(w, r, 2);
          scene.relation = r.pick(relations);
          scene.figures[1].thing = r.pick(w.things());
          return scene;
        },
        [&](const Scene& scene) {
          return scene.figures[1].thing != "sign" &&
                 scene.figures[0].thing != scene.figures[1].thing && world.held_out(scene) &&
                 !alone(scene, 0) && !alone(scene, 1);
        });
  };
}

Scene counting(const World& world, Random& random) {
  return changed(1, [](Scene& scene, const World&, Random& r) {
    scene.figures[0].count = uncountable(scene.figures[0].thing) ? 1 : 2 + r.below(3);
  })(world, random);
}

Scene coloured(const World& world, Random& random) {
  return changed(1, [](Scene& scene, const World&, Random& r) {
    scene.figures[0].colour = r.pick(World::colours());
  })(world, random);
}

Scene two_coloured(const World& world, Random& random) {
  return changed(2, [](Scene& scene, const World&, Random& r) {
    scene.relation = "next to";
    scene.figures[0].colour = r.pick(World::colours());
    do {
      scene.figures[1].colour = r.pick(World::colours());
    } while (scene.figures[1].colour == scene.figures[0].colour);
  })(world, random);
}

Scene elsewhere(const World& world, Random& random) {
  return changed(1, [](Scene& scene, const World& w, Random& r) {
    scene.place = r.pick(w.places());
    scene.weather = "";
  })(world, random);
}

Scene in_style(const World& world, Random& random) {
  return changed(1, [](Scene& scene, const World& w, Random& r) {
    scene.style = r.pick(w.styles());
  })(world, random);
}

Scene sign(const World& world, Random& random) {
  if (world.words().empty()) {
    fail(Kind::invalid_argument, "the world has no words on signs to ask for");
  }
  return changed(1, [](Scene& scene, const World& w, Random& r) {
    scene.figures[0] = {"sign", "", 1, r.pick(w.words())};
    scene.size = "large";
  })(world, random);
}

const Detection* found(const SceneReading& reading, const Figure& figure) {
  const auto at = std::ranges::find_if(reading.things, [&](const Detection& each) {
    return each.thing == figure.thing && (figure.colour.empty() || each.colour == figure.colour) &&
           (figure.text.empty() || each.word == figure.text);
  });
  return at == reading.things.end() ? nullptr : &*at;
}

bool all_found(const Scene& scene, const SceneReading& reading) {
  return std::ranges::all_of(scene.figures,
                             [&](const Figure& figure) { return found(reading, figure); });
}

bool counted(const Scene& scene, const SceneReading& reading) {
  return std::ranges::count(reading.things, scene.figures[0].thing, &Detection::thing) ==
         scene.figures[0].count;
}

bool placed(const Scene& scene, const SceneReading& reading) {
  const Detection* a = found(reading, scene.figures[0]);
  const Detection* b = found(reading, scene.figures[1]);
  if (a == nullptr || b == nullptr) {
    return false;
  }
  const double right = a->x - b->x, below = a->y - b->y;
  const double wide = clearly * (a->width + b->width), high = clearly * (a->height + b->height);
  const std::map<std::string, bool> holds = {{"left of", -right > wide},
                                             {"right of", right > wide},
                                             {"above", -below > high},
                                             {"below", below > high}};
  return holds.at(scene.relation);
}

std::string figures_prompt(const Scene& scene, Random&) {
  const std::string first = phrase(scene.figures[0]);
  return scene.figures.size() == 1 ? first : first + " and " + phrase(scene.figures[1]);
}

std::string relation_prompt(const Scene& scene, Random&) {
  const bool beside = scene.relation.ends_with(" of");
  return fmt::format("{} {}{} {}", phrase(scene.figures[0]), beside ? "to the " : "",
                     scene.relation, phrase(scene.figures[1]));
}

/// What a task is made of.
struct Task {
  const char* name;
  Draw scene;
  std::string (*prompt)(const Scene&, Random&);
  bool (*follows)(const Scene&, const SceneReading&);
};

const std::vector<Task>& tasks() {
  static const std::vector<Task> table = {
      {"single thing", single, figures_prompt, all_found},
      {"two things", pair({"next to"}), figures_prompt, all_found},
      {"counting", counting, figures_prompt, counted},
      {"colours", coloured, figures_prompt, all_found},
      {"position", pair({"left of", "right of", "above", "below"}), relation_prompt, placed},
      {"colour attribution", two_coloured, figures_prompt, all_found},
      {"place", elsewhere,
       [](const Scene& scene, Random&) { return phrase(scene.figures[0]) + " " + scene.place; },
       [](const Scene& scene, const SceneReading& reading) {
         return all_found(scene, reading) && reading.place == scene.place;
       }},
      {"style", in_style,
       [](const Scene& scene, Random& random) {
         return phrase(scene.figures[0]) + ", " + style_words(scene.style, random);
       },
       [](const Scene& scene, const SceneReading& reading) {
         return all_found(scene, reading) && reading.style == scene.style;
       }},
      {"word on a sign", sign,
       [](const Scene& scene, Random&) {
         return fmt::format("a sign that says \"{}\" {}", scene.figures[0].text, scene.place);
       },
       all_found},
  };
  return table;
}

const Task& task_named(const std::string& name) {
  const auto at = std::ranges::find(tasks(), name, &Task::name);
  if (at == tasks().end()) {
    std::string known;
    for (const std::string& each : task_names()) {
      known += (known.empty() ? "" : ", ") + each;
    }
    fail(Kind::invalid_argument, "\"{}\" is no task; they are {}", name, known);
  }
  return *at;
}

std::string seen(const SceneReading& reading) {
  std::string text;
  for (const Detection& each : reading.things) {
    text += (text.empty() ? "" : ", ") + (each.colour.empty() ? "" : each.colour + " ") +
            each.thing + (each.word.empty() ? "" : " \"" + each.word + "\"");
  }
  return (text.empty() ? "nothing" : text) + "; " + reading.place + ", " + reading.style;
}

}  // namespace

const std::vector<std::string>& task_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Task& task : tasks()) {
      all.emplace_back(task.name);
    }
    return all;
  }();
  return names;
}

std::vector<TestPrompt> test_prompts(const World& world, const std::string& name, int count,
                                     std::uint64_t seed) {
  const Task& task = task_named(name);
  const auto number = static_cast<std::uint64_t>(&task - tasks().data());
  std::vector<TestPrompt> prompts;
  for (int i = 0; i < count; ++i) {
    Random random({seed, number, static_cast<std::uint64_t>(i)});
    const Scene scene = task.scene(world, random);
    const std::string prompt = task.prompt(scene, random);
    prompts.push_back({name, prompt, world.descriptive_caption(scene, random), scene});
  }
  return prompts;
}

Judgement judge(const TestPrompt& prompt, const SceneReading& reading) {
  return {task_named(prompt.task).follows(prompt.scene, reading), seen(reading)};
}

}  // namespace longhand
