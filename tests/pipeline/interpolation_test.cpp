// Interpolation on the sphere: ends, lengths, angles, and where a great circle is not given.
#include "pipeline/interpolation.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>

#include "core/error.h"

using namespace longhand;
using at::Tensor;

namespace {

Tensor vector(std::initializer_list<double> values) {
  return at::tensor(at::ArrayRef<double>(values), at::kDouble);
}

Tensor random(std::int64_t seed, std::int64_t size = 768) {
  return at::randn({size}, at::detail::createCPUGenerator(static_cast<std::uint64_t>(seed)),
                   at::kDouble);
}

double angle(const Tensor& a, const Tensor& b) {
  return std::acos(std::clamp((a.dot(b) / a.norm() / b.norm()).item<double>(), -1.0, 1.0));
}

bool near(const Tensor& a, const Tensor& b, double tolerance = 1e-12) {
  return at::allclose(a, b, 0, tolerance);
}

bool refuses(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.kind() == Kind::invalid_argument;
  }
  return false;
}

}  // namespace

TEST_CASE("slerp: a known arc") {
  const Tensor x = vector({1, 0, 0}), y = vector({0, 1, 0});
  const double half = std::sqrt(0.5), third = std::numbers::pi / 6;
  CHECK(near(slerp(x, y, 0.5), vector({half, half, 0})));
  CHECK(near(slerp(x, y, 1.0 / 3), vector({std::cos(third), std::sin(third), 0})));
  CHECK(near(slerp(x, 3 * y, 0.5), 2 * vector({half, half, 0})));
}

TEST_CASE("slerp: ends, lengths in proportion, angles even") {
  const Tensor a = random(1), b = 2.5 * random(2);
  CHECK(near(slerp(a, b, 0), a));
  CHECK(near(slerp(a, b, 1), b, 1e-11));
  for (const double part : {0.1, 0.5, 0.8}) {
    const Tensor between = slerp(a, b, part);
    const double expected = ((1 - part) * a.norm() + part * b.norm()).item<double>();
    CHECK(between.norm().item<double>() == doctest::Approx(expected).epsilon(1e-12));
    CHECK(angle(a, between) == doctest::Approx(part * angle(a, b)).epsilon(1e-9));
    CHECK(angle(between, b) == doctest::Approx((1 - part) * angle(a, b)).epsilon(1e-9));
  }
  const bool of_its_type = slerp(a.to(at::kFloat), b, 0.5).scalar_type() == at::kFloat;
  CHECK(of_its_type);
}

TEST_CASE("slerp: equal, nearly equal, opposite and zero vectors") {
  const Tensor a = random(3);
  CHECK(near(slerp(a, a, 0.3), a));
  CHECK(near(slerp(a, 2 * a, 0.5), 1.5 * a));
  CHECK(near(slerp(a, a + 1e-10 * random(4), 0.5), a, 1e-9));
  const Tensor between = slerp(a, -a, 0.5);
  CHECK(near(slerp(a, -a, 0), a));
  CHECK(near(slerp(a, -a, 1), -a, 1e-11));
  CHECK(between.norm().item<double>() == doctest::Approx(a.norm().item<double>()).epsilon(1e-12));
  CHECK(std::abs(angle(a, between) - std::numbers::pi / 2) < 1e-9);
  CHECK(refuses([&] { slerp(a, at::zeros_like(a), 0.5); }));
}

TEST_CASE("a chain meets what it joins, and is even between") {
  const Tensor embeds = at::stack({random(1), random(2), random(3)});
  const Tensor chain = along_chain(embeds, 7);
  CHECK(near(chain[0], embeds[0]));
  CHECK(near(chain[3], embeds[1], 1e-11));
  CHECK(near(chain[6], embeds[2], 1e-11));
  CHECK(near(chain[4], slerp(embeds[1], embeds[2], 1.0 / 3), 1e-11));
  const Tensor three = along_chain(embeds, 4);
  CHECK(near(three[1], slerp(embeds[0], embeds[1], 2.0 / 3), 1e-11));
  CHECK(near(three[2], slerp(embeds[1], embeds[2], 1.0 / 3), 1e-11));
}

TEST_CASE("a text difference has length 1, whatever the lengths of the texts' embeddings") {
  const Tensor from = random(5), to = random(6);
  const Tensor difference = text_difference(from, to);
  CHECK(difference.norm().item<double>() == doctest::Approx(1).epsilon(1e-12));
  CHECK(near(difference, text_difference(9 * from, 0.2 * to)));
  CHECK(near(difference, -text_difference(to, from)));
  CHECK(difference.dot(to / to.norm() - from / from.norm()).item<double>() > 0);
  CHECK(refuses([&] { text_difference(from, 2 * from); }));
}

TEST_CASE("along a difference: from the picture itself, theta of the angle far") {
  const Tensor embed = 20 * random(7), difference = text_difference(random(8), random(9));
  const Tensor strip = along_difference(embed, difference, 0.4, 5);
  CHECK(near(strip[0], embed, 1e-10));
  for (int i = 0; i < 5; ++i) {
    CHECK(strip[i].norm().item<double>() ==
          doctest::Approx(embed.norm().item<double>()).epsilon(1e-12));
    CHECK(std::abs(angle(embed, strip[i]) - 0.1 * i * angle(embed, difference)) < 1e-7);
  }
}
