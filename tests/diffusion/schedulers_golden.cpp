// Whole runs of diffusers' schedulers with a stand-in model (golden/record_schedulers.py).
// Tolerance: 1e-5 of the largest value. The same float32 formulas run on both sides; what differs
// is the last bit of exp, log and tanh, and the order of a few sums.
#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "diffusion/scheduler.h"
#include "io/safetensors.h"
#include "nn/weights.h"

using namespace longhand;

namespace {

at::Tensor model(const at::Tensor& x, double t, bool with_variance) {
  const at::Tensor mean = x.tanh() + t / 1000;
  return with_variance ? at::cat({mean, 0.5 + 0.4 * (2 * x).tanh()}, 1) : mean;
}

double error(const at::Tensor& got, const at::Tensor& expected) {
  return ((got - expected).abs().max() / expected.abs().max()).item<double>();
}

}  // namespace

TEST_CASE("runs agree with diffusers") {
  const std::string path = LONGHAND_TESTS "/golden/schedulers.safetensors";
  const auto expected = load_tensors(path);
  const auto cases = nlohmann::json::parse(Safetensors(path).metadata().at("cases"));
  double worst = 0;
  for (std::size_t number = 0; number < cases.size(); ++number) {
    const nlohmann::json& each = cases[number];
    CAPTURE(each.dump());
    const auto recorded = [&](const char* key) {
      const auto found = expected.find(std::to_string(number) + "." + key);
      return found == expected.end() ? at::Tensor() : found->second;
    };
    const auto scheduler =
        make_scheduler(each["scheduler"], SchedulerConfig::from_json(each["file"]), each["steps"],
                       each.value("eta", 0.0));
    const auto start = each.value("start", std::size_t(0));

    const at::Tensor timesteps = at::tensor(scheduler->timesteps(), at::kFloat);
    REQUIRE(timesteps.sizes() == recorded("timesteps").sizes());
    // Fractional timesteps come from logarithms of sigmas: a last bit of σ is 1e-3 of a timestep.
    CHECK((timesteps - recorded("timesteps")).abs().max().item<double>() < 2e-3);
    CHECK(scheduler->init_noise_sigma() ==
          doctest::Approx(recorded("sigma").item<double>()).epsilon(1e-6));

    NoiseSource source({11, 12});
    const at::Tensor clean = source.draw({2, 2, 3, 3}), noise = source.draw({2, 2, 3, 3});
    const at::Tensor noised = scheduler->add_noise(clean, noise, start);
    CHECK(error(noised, recorded("noised")) < 1e-6);

    at::Tensor x = start > 0 ? noised : noise * scheduler->init_noise_sigma();
    const bool with_variance =
        each["file"].value("variance_type", std::string()).starts_with("learned");
    for (std::size_t i = start; i < scheduler->timesteps().size(); ++i) {
      const at::Tensor answer =
          model(scheduler->scale_model_input(x, i), scheduler->timesteps()[i], with_variance);
      x = scheduler->step(answer, i, x, source);
    }
    const double off = error(x, recorded("answer"));
    worst = std::max(worst, off);
    // Without signal σ begins at 4096, whose last bit is 2e-4: diffusers itself differs by 1.6e-5
    // between processors there, and by 6e-6 elsewhere.
    const double within = each["file"].value("rescale_betas_zero_snr", false) ? 3e-5 : 1e-5;
    CHECK(off < within);
    if (recorded("clean").defined()) {
      CHECK(error(scheduler->predicted_clean(), recorded("clean")) < within);
    }
  }
  MESSAGE(cases.size(), " runs, at most ", worst, " off");
}
