// The best candidates beside a plain sort, and what is drawn of them.
#include "llm/sampler.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

using namespace longhand;

TEST_CASE("the largest logits, largest first") {
  Random random({1});
  for (const int size : {1, 5, 63, 64, 65, 200, 5000}) {
    CAPTURE(size);
    std::vector<float> logits;
    for (int i = 0; i < size; ++i) {
      logits.push_back(static_cast<float>(random.uniform(-10, 10)));
    }
    std::vector<float> sorted = logits;
    std::ranges::sort(sorted, std::greater());
    const auto best = top_candidates(logits, 50);
    REQUIRE(best.size() == std::min<std::size_t>(50, sorted.size()));
    for (std::size_t i = 0; i < best.size(); ++i) {
      CHECK(best[i].logit == sorted[i]);
      CHECK(logits[static_cast<std::size_t>(best[i].token)] == sorted[i]);
    }
  }
  // All at the end, where blocks are passed over until then.
  std::vector<float> rising(640);
  for (std::size_t i = 0; i < rising.size(); ++i) {
    rising[i] = static_cast<float>(i);
  }
  CHECK(top_candidates(rising, 3).front().token == 639);
}

TEST_CASE("tokens are drawn as often as their share, within top-p and what a guide leaves") {
  const std::vector<Candidate> candidates = {
      {7, std::log(0.6F)}, {8, std::log(0.3F)}, {9, std::log(0.1F)}};
  Random random({2});
  const auto shares = [&](const Sampling& sampling, const std::function<float(int)>& bias) {
    std::map<int, double> drawn;
    for (int i = 0; i < 20000; ++i) {
      drawn[sample_token(candidates, sampling, bias, random)] += 1.0 / 20000;
    }
    return drawn;
  };
  const auto none = [](int) { return 0.0F; };
  const auto all = shares({.temperature = 1, .top_p = 1}, none);
  CHECK(all.at(7) == doctest::Approx(0.6).epsilon(0.03));
  CHECK(all.at(9) == doctest::Approx(0.1).epsilon(0.1));
  CHECK_FALSE(shares({.temperature = 1, .top_p = 0.8}, none).contains(9));
  CHECK(shares({.temperature = 0}, none).at(7) == doctest::Approx(1));
  const auto forbids = [](int token) {
    return token == 7 ? -std::numeric_limits<float>::infinity() : 0.0F;
  };
  CHECK(shares({.temperature = 1, .top_p = 1}, forbids).at(8) ==
        doctest::Approx(0.75).epsilon(0.03));
  CHECK(sample_token({}, {}, none, random) == -1);
}
