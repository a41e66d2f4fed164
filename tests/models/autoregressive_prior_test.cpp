// The autoregressive prior writes component by component what it is trained to write at once, and
// its codes stand for embeddings. No library has this network; hence no golden numbers.
#include "models/autoregressive_prior.h"

#include <doctest/doctest.h>

#include "core/error.h"
#include "support.h"

using namespace longhand;

TEST_CASE("AutoregressivePrior: one component after the other as all at once") {
  const c10::InferenceMode inference;
  auto weights = Weights::fresh(3);
  const AutoregressivePrior prior(weights, {.embedding_dim = 12,
                                            .num_embeddings = 5,
                                            .num_components = 6,
                                            .num_buckets = 9,
                                            .hidden_size = 16,
                                            .num_layers = 2,
                                            .num_attention_heads = 4});
  const Tensor mask = at::ones({3, 5});
  mask[1].narrow(0, 2, 3).fill_(0);
  const AutoregressivePrior::Text text{at::randn({3, 12}), at::randn({3, 5, 12}), mask};
  const Tensor codes = at::randint(9, {3, 6}, at::kLong), likeness = at::tensor({0L, 7L, 15L});
  const Tensor together = prior.forward(codes, likeness, text);
  AutoregressivePrior::Seen seen;
  std::vector<Tensor> steps = {prior.begin(likeness, text, seen)};
  for (int i = 0; i < 5; ++i) {
    steps.push_back(prior.next(codes.select(1, i), seen));
  }
  CHECK(relative_error(at::stack(steps, 1), together) < 1e-4);

  Tensor other = text.states.clone();
  other[1].narrow(0, 2, 3).add_(1);  // padding is not seen
  CHECK(relative_error(prior.forward(codes, likeness, {text.text_embeds, other, mask}), together) <
        1e-5);
}

TEST_CASE("AutoregressivePrior: codes stand for embeddings to within half a bucket") {
  const c10::InferenceMode inference;
  auto weights = Weights::fresh(3);
  AutoregressivePrior prior(weights, {.embedding_dim = 4,
                                      .num_embeddings = 2,
                                      .num_components = 4,
                                      .num_buckets = 64,
                                      .hidden_size = 8,
                                      .num_layers = 1,
                                      .num_attention_heads = 2});
  prior.axes.copy_(at::eye(4));
  prior.low.fill_(-2);
  prior.width.fill_(4.0 / 64);
  const Tensor embeds = at::rand({50, 4}) * 4 - 2;
  const double half_a_bucket = 2.0 / 64;
  CHECK((prior.embeds_of(prior.codes_of(embeds)) - embeds).abs().max().item<double>() <
        1.001 * half_a_bucket);
  CHECK(prior.codes_of(at::full({1, 4}, 99.0)).max().item<std::int64_t>() == 63);
  CHECK_THROWS_AS(
      AutoregressivePriorConfig::from_json({{"num_components", 9}, {"embedding_dim", 4}}), Error);
}
