// FlashAttention beside attention in float64: its errors are no larger than those of
// at::scaled_dot_product_attention in the same type.
#include <doctest/doctest.h>

#include <cmath>

#include "nn/flash_attention.h"
#include "nn/layers.h"

using namespace longhand;

namespace {

struct Shape {
  std::int64_t batch, heads, tokens, length, width;
};

Tensor in_heads(const Tensor& x, std::int64_t heads) {
  return x.view({x.size(0), x.size(1), heads, x.size(2) / heads}).transpose(1, 2);
}

Tensor joined(const Tensor& x) { return x.transpose(1, 2).flatten(2); }

/// Queries, keys, values and a bias of one type.
struct Case {
  Case(const Shape& s, at::ScalarType dtype, double spread = 1) : heads(s.heads) {
    query = (at::randn({s.batch, s.tokens, s.heads * s.width}) * spread).to(dtype);
    key = at::randn({s.batch, s.length, s.heads * s.width}).to(dtype);
    value = at::randn({s.batch, s.length, s.heads * s.width}).to(dtype);
  }

  Tensor exact() const {
    const auto wide = [&](const Tensor& x) { return in_heads(x.to(at::kDouble), heads); };
    Tensor scores = at::matmul(wide(query), wide(key).transpose(2, 3)) /
                    std::sqrt(static_cast<double>(query.size(2) / heads));
    if (bias.defined()) {
      scores = scores + bias.to(at::kDouble);
    }
    return joined(at::matmul(scores.softmax(-1), wide(value)));
  }

  Tensor usual() const {
    return joined(at::scaled_dot_product_attention(
        in_heads(query, heads), in_heads(key, heads), in_heads(value, heads),
        bias.defined() ? std::optional<Tensor>(bias) : std::nullopt));
  }

  Tensor ours() const { return flash_attention(query, key, value, static_cast<int>(heads), bias); }

  std::int64_t heads;
  Tensor query, key, value, bias;
};

double root_mean_square(const Tensor& x) { return x.square().mean().sqrt().item<double>(); }

void check_error(const Case& c) {
  const Tensor exact = c.exact(), ours = c.ours();
  REQUIRE(ours.sizes() == exact.sizes());
  REQUIRE(ours.isfinite().all().item<bool>());
  const double error = root_mean_square(ours.to(at::kDouble) - exact);
  const double usual = root_mean_square(c.usual().to(at::kDouble) - exact);
  // Which of two ways rounds better differs by chance: over thousands of numbers by a few per cent,
  // over fewer by more, most of all in float32, where no single rounding dominates.
  CHECK(error <= usual * (ours.numel() > 4096 ? 1.1 : 1.5));
}

const std::vector<Shape> shapes = {
    {2, 8, 300, 300, 40}, {1, 2, 1024, 77, 64}, {2, 3, 77, 77, 64},    {1, 5, 129, 513, 80},
    {2, 2, 64, 81, 160},  {2, 4, 16, 16, 32},   {3, 2, 1, 1, 28},      {2, 3, 1, 81, 28},
    {1, 2, 33, 257, 7},   {1, 1, 130, 70, 1},   {1, 1, 600, 700, 512},
};

/// True where there is something to test: oneDNN multiplies this type on this processor.
bool runs(at::ScalarType dtype) {
  const Case c({1, 1, 2, 2, 4}, dtype);
  const c10::NoGradGuard no_grad;
  return flash_attention_helps(c.query, c.key, c.value);
}

template <class Test>
void for_each_case(const Test& test) {
  const c10::NoGradGuard no_grad;
  at::manual_seed(4);
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (std::size_t i = 0; runs(dtype) && i < shapes.size(); ++i) {
      CAPTURE(i);
      CAPTURE(dtype);
      test(shapes[i], dtype);
    }
  }
}

constexpr float infinity = std::numeric_limits<float>::infinity();

}  // namespace

TEST_CASE("attention of many shapes") {
  for_each_case([](const Shape& s, at::ScalarType dtype) { check_error(Case(s, dtype)); });
}

TEST_CASE("scores of about ±50") {
  for_each_case([](const Shape& s, at::ScalarType dtype) { check_error(Case(s, dtype, 20)); });
}

TEST_CASE("biases of every shape that broadcasts") {
  for_each_case([](const Shape& s, at::ScalarType dtype) {
    for (int which = 0; which < 8; ++which) {
      Case c(s, dtype);
      c.bias = at::randn({which & 1 ? s.batch : 1, which & 2 ? s.heads : 1,
                          which & 4 ? s.tokens : 1, s.length})
                   .to(dtype);
      check_error(c);
    }
  });
}

TEST_CASE("biases that mask: causal, and all keys but one") {
  for_each_case([](const Shape& s, at::ScalarType dtype) {
    Case c(s, dtype);
    c.bias = at::full({1, 1, s.tokens, s.length}, -infinity).triu(1).to(dtype);
    check_error(c);
    const Tensor seen = at::randint(s.length, {1, 1, s.tokens, 1});
    c.bias = at::full({1, 1, s.tokens, s.length}, -infinity).scatter(3, seen, 0).to(dtype);
    check_error(c);
    const Tensor picked = c.value.index_select(1, seen.flatten());
    CHECK(at::equal(c.ours(), picked));
  });
}

TEST_CASE("a row that sees no key is zeros, and NaN stays NaN") {
  for_each_case([](const Shape& s, at::ScalarType dtype) {
    Case c(s, dtype);
    c.bias = at::zeros({1, 1, s.tokens, s.length}).to(dtype);
    c.bias.select(2, 0).fill_(-infinity);
    const Tensor mixed = c.ours();
    CHECK(mixed.isfinite().all().item<bool>());
    CHECK(mixed.select(1, 0).abs().max().item<double>() == 0);
    c.query.fill_(std::nan(""));
    CHECK(c.ours().isnan().all().item<bool>());
  });
}

TEST_CASE("strided inputs") {
  for_each_case([](const Shape& s, at::ScalarType dtype) {
    if (s.tokens != s.length) {
      return;
    }
    Case c(s, dtype);
    const Case apart = c;
    const auto joint = at::cat({c.query, c.key, c.value}, 2).chunk(3, 2);
    c.query = joint[0], c.key = joint[1], c.value = joint[2];
    CHECK(at::equal(c.ours(), apart.ours()));
  });
}

TEST_CASE("attention() with a gradient is not ours") {
  const Case c({1, 2, 5, 5, 8}, at::kFloat);
  const Tensor query = c.query.clone().requires_grad_(true);
  CHECK_FALSE(flash_attention_helps(query, c.key, c.value));
  const Tensor mixed = attention(query, c.key, c.value, 2);
  CHECK(mixed.requires_grad());
  CHECK(at::allclose(mixed, c.ours(), 1e-4, 1e-5));
}
