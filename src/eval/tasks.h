// Whether prompts are followed, task by task, in the manner of GenEval (Ghosh et al. 2023): prompts
// made of a world's scenes, but for single things in combinations that are held out from training,
// and what a detector must find in their pictures.
#pragma once

#include <string>
#include <vector>

#include "models/scene_detector.h"
#include "world/world.h"

namespace longhand {

/// A prompt and a scene that it fits; the task looks at the part of the scene that the prompt
/// names.
struct TestPrompt {
  std::string task;         // one of task_names()
  std::string prompt;       // as a person types it
  std::string description;  // all of the scene, as the world describes it
  Scene scene;
};

struct Judgement {
  bool follows;
  std::string seen;  // for people: "dog (blue), car"
};

/// "single thing", "two things", "counting", "colours", "position", "colour attribution", "place",
/// "style", "word on a sign".
const std::vector<std::string>& task_names();

/// Prompts of a task; number i follows from seed and i alone. Throws invalid_argument for a name
/// that is no task's, and for a world that holds out nothing that the task could ask for.
std::vector<TestPrompt> test_prompts(const World& world, const std::string& task, int count,
                                     std::uint64_t seed);

Judgement judge(const TestPrompt& prompt, const SceneReading& reading);

}  // namespace longhand
