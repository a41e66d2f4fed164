// GIT, small and seeded, writes what transformers' writes (tests/golden/record_git.py). Tolerance:
// 1e-4 of the largest logit, some hundred times what summing float32 in another order makes.
#include "models/git.h"

#include "core/error.h"
#include "recorded.h"

using namespace longhand;

TEST_CASE("GitForCausalLM: a text's logits, at once and token by token") {
  const c10::InferenceMode inference;
  const Recorded<GitForCausalLM, GitConfig> git("git", "model.safetensors");
  const Tensor ids = git["ids"].to(at::kLong);
  GitForCausalLM::Seen seen = git.model.look(git["pixel_values"]);
  CHECK(git.error(git.model.forward(ids, seen), "logits") < 1e-4);

  seen = git.model.look(git["pixel_values"]);
  std::vector<Tensor> steps = {git.model.forward(ids.narrow(1, 0, 4), seen)};
  for (std::int64_t i = 4; i < ids.size(1); ++i) {
    steps.push_back(git.model.forward(ids.narrow(1, i, 1), seen));
  }
  CHECK(git.error(at::cat(steps, 1), "logits") < 1e-4);
  CHECK_THROWS_AS(git.model.forward(ids, seen), Error);
}

TEST_CASE("GitForCausalLM: the likeliest tokens") {
  const c10::InferenceMode inference;
  const Recorded<GitForCausalLM, GitConfig> git("git", "model.safetensors");
  const Tensor expected = git["written"].to(at::kLong);
  GitForCausalLM::Seen seen = git.model.look(git["pixel_values"]);
  Tensor written = expected.narrow(1, 0, 3);
  Tensor next = written;
  while (written.size(1) < expected.size(1)) {
    next = git.model.forward(next, seen).select(1, -1).argmax(-1, true);
    written = at::cat({written, next}, 1);
  }
  CHECK(written.equal(expected));
}
