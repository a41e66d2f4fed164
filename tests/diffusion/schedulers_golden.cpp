// Whole trajectories of diffusers' schedulers with a stand-in model; 1e-4 of the answer's largest
// value.
#include <doctest/doctest.h>

#include "diffusion/scheduler.h"
#include "nn/weights.h"

using namespace longhand;

TEST_CASE("trajectories agree with diffusers") {
  const auto expected = load_tensors(LONGHAND_TESTS "/golden/schedulers.safetensors");
  int count = 0;
  for (const auto& [key, answer] : expected) {
    if (!key.ends_with(".answer")) {
      continue;
    }
    const std::string name = key.substr(0, key.size() - 7);
    const auto has = [&](const char* part) { return name.find(part) != std::string::npos; };
    SchedulerConfig config;
    config.beta_start = 0.00085;
    config.beta_end = 0.012;
    config.beta_schedule = "scaled_linear";
    config.set_alpha_to_one = false;
    config.prediction_type = has("epsilon") ? "epsilon" : "v_prediction";
    config.timestep_spacing = has("leading")    ? "leading"
                              : has("trailing") ? "trailing"
                                                : "linspace";
    config.steps_offset = has("leading") ? 1 : 0;
    config.rescale_betas_zero_snr = has(".zero");
    const auto scheduler = make_scheduler(name.substr(0, name.find('.')), config, 7);
    at::manual_seed(4);
    at::Tensor x = at::randn({2, 4, 4, 4}) * scheduler->init_noise_sigma();
    const at::Tensor timesteps = expected.at(name + ".timesteps");
    for (std::size_t i = 0; i < scheduler->timesteps().size(); ++i) {
      const double t = scheduler->timesteps()[i];
      CHECK(t == doctest::Approx(timesteps[static_cast<std::int64_t>(i)].item<double>()));
      x = scheduler->step(scheduler->scale_model_input(x, i).tanh() + t / 1000, i, x);
    }
    const double error = ((x - answer).abs().max() / answer.abs().max()).item<double>();
    CHECK_MESSAGE(error < 1e-4, name, ": ", error);
    ++count;
  }
  CHECK(count == 15);
}
