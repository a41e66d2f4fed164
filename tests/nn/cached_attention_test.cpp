// Attention over shared and own keys beside the same by tensors in float64.
#include "nn/cached_attention.h"

#include <cmath>
#include <memory>

#include "support.h"

using namespace longhand;

namespace {

struct Case {
  HeadShape shape;
  std::int64_t shared;               // keys of the prefix
  std::vector<std::int64_t> begins;  // how much of it each sequence begins with
  std::vector<std::int64_t> owns;    // keys of its own
};

/// Of one row: softmax(q·k / √width) · v over the keys given, heads in groups.
Tensor reference(const Tensor& query, const Tensor& keys, const Tensor& values,
                 const HeadShape& shape) {
  const Tensor q = query.to(at::kDouble).view({shape.heads, 1, shape.width});
  const auto of_heads = [&](const Tensor& x) {
    return x.to(at::kDouble)
        .view({x.size(0), shape.kv_heads, shape.width})
        .permute({1, 0, 2})
        .repeat_interleave(shape.heads / shape.kv_heads, 0);
  };
  const Tensor k = of_heads(keys), v = of_heads(values);
  const Tensor scores = at::matmul(q, k.transpose(1, 2)) / std::sqrt(double(shape.width));
  return at::matmul(scores.softmax(-1), v).view({1, -1});
}

double error_of(const Case& c, at::ScalarType dtype) {
  const c10::InferenceMode inference;
  at::manual_seed(4);
  const std::int64_t width = c.shape.kv_heads * c.shape.width;
  const auto random = [&](std::int64_t rows, std::int64_t columns) {
    return at::randn({rows, columns}).to(dtype);
  };
  const Tensor prefix_keys = random(c.shared, width), prefix_values = random(c.shared, width);
  SharedKeys shared;
  if (c.shared > 0) {
    OwnKeys prefix(c.shape, dtype, c.shared);
    prefix.reserve(c.shared);
    for (std::int64_t i = 0; i < c.shared; ++i) {
      prefix.put(i, prefix_keys, prefix_values, i);
    }
    shared = prefix.shared(c.shared);
  }
  std::vector<std::unique_ptr<OwnKeys>> owns;
  std::vector<CachedRow> rows;
  std::vector<Tensor> expected;
  const Tensor query = random(std::ssize(c.owns), c.shape.heads * c.shape.width);
  for (std::size_t i = 0; i < c.owns.size(); ++i) {
    const Tensor keys = random(c.owns[i], width), values = random(c.owns[i], width);
    owns.push_back(std::make_unique<OwnKeys>(c.shape, dtype));
    owns.back()->reserve(c.owns[i]);
    for (std::int64_t token = 0; token < c.owns[i]; ++token) {
      owns.back()->put(token, keys, values, token);
    }
    rows.push_back({c.begins[i], owns.back().get(), c.owns[i]});
    expected.push_back(reference(
        query[static_cast<std::int64_t>(i)], at::cat({prefix_keys.narrow(0, 0, c.begins[i]), keys}),
        at::cat({prefix_values.narrow(0, 0, c.begins[i]), values}), c.shape));
  }
  return relative_error(cached_attention(query, c.shape, shared, rows), at::cat(expected));
}

}  // namespace

TEST_CASE("attention over a shared beginning and each sequence's own keys") {
  const std::vector<Case> cases = {
      {{9, 3, 64}, 520, {520, 520, 519, 1, 520}, {1, 64, 65, 200, 3}},
      {{8, 8, 32}, 64, {64, 0, 7}, {1, 2, 130}},
      {{4, 2, 128}, 600, {600, 600}, {1, 90}},
      {{4, 1, 80}, 0, {0, 0}, {1, 17}},
  };
  for (const Case& each : cases) {
    CAPTURE(each.shape.heads);
    if (cached_attention_runs(at::kFloat)) {
      CHECK(error_of(each, at::kFloat) < 2e-6);
    }
    if (cached_attention_runs(at::kBFloat16)) {
      CHECK(error_of(each, at::kBFloat16) < 0.008);  // probabilities and results are rounded: 2^-8
    }
  }
}

TEST_CASE("more rows than a block, all alike") {
  Case c{{6, 2, 64}, 100, {}, {}};
  for (int i = 0; i < 150; ++i) {
    c.begins.push_back(100);
    c.owns.push_back(1 + i % 70);
  }
  if (cached_attention_runs(at::kFloat)) {
    CHECK(error_of(c, at::kFloat) < 2e-6);
  }
}
