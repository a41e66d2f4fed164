// The optimizer beside its definition, written with tensors in float64.
#include "train/optimizer.h"

#include <doctest/doctest.h>

#include <unistd.h>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "nn/dtype.h"
#include "nn/weights.h"

using namespace longhand;
using at::Tensor;

namespace {

constexpr std::int64_t total_steps = 8;

OptimizerConfig config_of_test() {
  OptimizerConfig config;
  config.learning_rate = 0.01;
  config.warmup_steps = 2;
  config.weight_decay = 0.1;
  config.clip_norm = 2.5;
  config.ema_decay = 0.3;
  return config;
}

struct Parameters {
  Tensor weight, bias;

  Parameters() {
    at::manual_seed(3);
    weight = at::randn({5, 700});  // more than one of the passes' parts
    bias = at::randn({5});
  }
  std::map<std::string, Tensor> by_name() const { return {{"bias", bias}, {"weight", weight}}; }
  void set_gradients(std::int64_t step, double scale) const {
    const c10::AutoGradMode no_grad(false);
    at::manual_seed(100 + static_cast<std::uint64_t>(step));
    weight.grad().copy_(at::randn({5, 700}) * scale);
    bias.grad().copy_(at::randn({5}) * scale);
  }
  Tensor flat() const { return at::cat({bias.detach().flatten(), weight.detach().flatten()}); }
  Tensor flat_gradient() const { return at::cat({bias.grad().flatten(), weight.grad().flatten()}); }
};

/// AdamW (Loshchilov and Hutter 2019, algorithm 2) with clipping by the norm, and the average.
struct Reference {
  Tensor weights, average, m = at::zeros_like(weights), v = at::zeros_like(weights);

  void step(const OptimizerConfig& c, std::int64_t step, Tensor gradient, double norm) {
    gradient = gradient * std::min(1.0, c.clip_norm / norm);
    const double count = static_cast<double>(step) + 1;
    const double rate = learning_rate(c, step, total_steps);
    m = c.beta1 * m + (1 - c.beta1) * gradient;
    v = c.beta2 * v + (1 - c.beta2) * gradient.square();
    const Tensor m_hat = m / (1 - std::pow(c.beta1, count));
    const Tensor v_hat = v / (1 - std::pow(c.beta2, count));
    weights = weights - rate * (m_hat / (v_hat.sqrt() + 1e-8) + c.weight_decay * weights);
    const double decay = std::min(c.ema_decay, (1 + count) / (10 + count));
    average = decay * average + (1 - decay) * weights;
  }
};

Tensor averaged(const Optimizer& optimizer) {
  const auto named = optimizer.averaged();
  return at::cat({named.at("bias").flatten(), named.at("weight").flatten()});
}

/// Sums in float32 against float64 over a few steps of about 0.01.
bool close(const Tensor& a, const Tensor& b) {
  return at::allclose(a.to(at::kDouble), b, 1e-5, 1e-6);
}

}  // namespace

TEST_CASE("AdamW with clipping and the average") {
  const OptimizerConfig config = config_of_test();
  const Parameters parameters;
  Reference reference{parameters.flat().to(at::kDouble), parameters.flat().to(at::kDouble)};
  Optimizer optimizer(parameters.by_name(), config, at::kFloat);
  for (std::int64_t step = 0; step < total_steps; ++step) {
    // Norms of about 0.6 and 60: under and over the clip.
    parameters.set_gradients(step, step % 2 == 0 ? 0.01 : 1);
    const Tensor gradient = parameters.flat_gradient().to(at::kDouble);
    const double norm = gradient.norm().item<double>();
    CHECK((norm > config.clip_norm) == (step % 2 == 1));
    CHECK(optimizer.step(step, total_steps) == doctest::Approx(norm).epsilon(1e-5));
    reference.step(config, step, gradient, norm);
    CHECK(close(parameters.flat(), reference.weights));
    CHECK(close(averaged(optimizer), reference.average));
    CHECK(parameters.flat_gradient().count_nonzero().item<std::int64_t>() == 0);
  }
  {
    const Optimizer::UseAverage in_use(optimizer);
    CHECK(close(parameters.flat(), reference.average));
  }
  CHECK(close(parameters.flat(), reference.weights));
}

namespace {

/// Four steps with recorded gradients, which are alike in both types; the weights after each, to
/// `tolerance`.
void check_muon(at::ScalarType compute, const char* type, double tolerance) {
  const auto recorded = load_tensors(fs::path(LONGHAND_TESTS) / "golden" / "muon.safetensors");
  std::map<std::string, Tensor> parameters;
  for (const char* name : {"wide.weight", "tall.weight", "conv.weight"}) {
    parameters[name] = recorded.at(std::string(name) + ".start").clone();
  }
  // Vectors and the edges of a model stay AdamW's: without a gradient only their decay is seen.
  parameters["bias"] = at::ones({8});
  parameters["conv_in.weight"] = at::ones({8, 2, 3, 3});
  OptimizerConfig config;  // as record_muon.py's
  config.muon = true;
  config.learning_rate = config.final_learning_rate = 0.01;
  config.warmup_steps = 0;
  config.weight_decay = 0.1;
  config.clip_norm = 1e9;
  config.ema_decay = 0;  // the average is the weights themselves, in float32
  Optimizer optimizer(parameters, config, compute);
  for (int step = 0; step < 4; ++step) {
    const c10::AutoGradMode no_grad(false);
    for (const auto& [name, tensor] : parameters) {
      if (const auto found = recorded.find(fmt::format("{}.gradient.{}", name, step));
          found != recorded.end()) {
        tensor.grad().copy_(found->second);
      }
    }
    optimizer.step(step, 4);
    for (const auto& [name, tensor] : optimizer.averaged()) {
      const double decayed = std::pow(1 - 0.01 * 0.1, step + 1);
      const auto found = recorded.find(fmt::format("{}.{}.{}", name, type, step));
      CHECK(at::allclose(tensor,
                         found == recorded.end() ? at::full_like(tensor, decayed) : found->second,
                         0, tolerance));
    }
  }
}

}  // namespace

TEST_CASE("Muon as torch's") {
  // A step changes an element by about 0.002, in bfloat16: 2^-8 of that, and its sums' order. Where
  // the processor does not multiply bfloat16, only what goes in and comes out is rounded to it.
  const bool multiplies_bfloat16 = dtype_named("auto") == at::kBFloat16;
  check_muon(at::kBFloat16, multiplies_bfloat16 ? "bfloat16" : "float32",
             multiplies_bfloat16 ? 5e-5 : 1e-4);
  check_muon(at::kFloat, "float32", 1e-6);
}

TEST_CASE("a step whose gradient is not finite is skipped") {
  const Parameters parameters;
  Optimizer optimizer(parameters.by_name(), config_of_test(), at::kFloat);
  const Tensor before = parameters.flat();
  parameters.set_gradients(0, 1);
  parameters.bias.grad()[2] = std::numeric_limits<float>::infinity();
  CHECK_FALSE(std::isfinite(optimizer.step(0, total_steps)));
  CHECK(at::equal(parameters.flat(), before));
  CHECK(parameters.flat_gradient().count_nonzero().item<std::int64_t>() == 0);
}

TEST_CASE("a checkpoint holds all that the next steps need") {
  const fs::path path =
      fs::temp_directory_path() / fmt::format("optimizer-{}.safetensors", getpid());
  const Parameters unbroken;
  Optimizer first(unbroken.by_name(), config_of_test(), at::kBFloat16);
  const auto run = [](const Parameters& parameters, Optimizer& optimizer, std::int64_t from,
                      std::int64_t to) {
    for (std::int64_t step = from; step < to; ++step) {
      parameters.set_gradients(step, 0.1);
      optimizer.step(step, total_steps);
    }
  };
  run(unbroken, first, 0, 4);
  first.save(path);
  run(unbroken, first, 4, total_steps);

  const Parameters resumed;
  Optimizer second(resumed.by_name(), config_of_test(), at::kBFloat16);
  second.load(path);
  run(resumed, second, 4, total_steps);
  CHECK(at::equal(resumed.flat(), unbroken.flat()));
  CHECK(at::equal(averaged(second), averaged(first)));

  const Tensor other = at::zeros({7});
  Optimizer of_another_model({{"other", other}}, config_of_test(), at::kFloat);
  CHECK_THROWS_AS(of_another_model.load(path), Error);
  fs::remove(path);
}

TEST_CASE("learning rate: warm-up, constant, cosine") {
  OptimizerConfig config;
  config.learning_rate = 1;
  config.final_learning_rate = 0.2;
  config.warmup_steps = 10;
  const auto rate = [&](std::int64_t step) { return learning_rate(config, step, 110); };
  CHECK(rate(0) == doctest::Approx(0.1));
  CHECK(rate(9) == doctest::Approx(1));
  SUBCASE("cosine over all steps after the warm-up") {
    CHECK(rate(10) == doctest::Approx(1));
    CHECK(rate(35) == doctest::Approx(0.2 + 0.8 * (1 + std::sqrt(0.5)) / 2));
    CHECK(rate(60) == doctest::Approx(0.6));
    CHECK(rate(110) == doctest::Approx(0.2));
  }
  SUBCASE("constant, then decay over the last fifth") {
    config.decay_share = 0.2;
    CHECK(rate(50) == doctest::Approx(1));
    CHECK(rate(88) == doctest::Approx(1));
    CHECK(rate(99) == doctest::Approx(0.6));
    CHECK(rate(110) == doctest::Approx(0.2));
  }
}
