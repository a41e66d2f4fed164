#include "diffusion/scheduler.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>

#include "../refusals.h"
#include "core/error.h"

using namespace longhand;
using nlohmann::json;

namespace {

SchedulerConfig config(json file = json::object()) { return SchedulerConfig::from_json(file); }

std::string refusal_of(const std::string& name, const json& file, int steps = 10, double eta = 0) {
  return refusal([&] { make_scheduler(name, config(file), steps, eta); });
}

}  // namespace

TEST_CASE("numbers of steps that a scheduler cannot take are refused") {
  for (const std::string& name : scheduler_names()) {
    CAPTURE(name);
    CHECK(has(refusal_of(name, {}, 0), "expected 1 to 1000"));
    CHECK(has(refusal_of(name, {}, 1001), "expected 1 to 1000"));
  }
  CHECK(has(refusal_of("unclip", {}, 1), "at least 2"));
  CHECK(has(refusal_of("lcm", {}, 51), "original_inference_steps, 50"));
  CHECK(has(refusal_of("ddim", {{"steps_offset", 1}}, 1000), "take fewer steps"));
  CHECK(has(refusal_of("unipc", {{"timestep_spacing", "leading"}}, 1000), "at most 999"));
}

TEST_CASE("names: the table's, diffusers' classes, and nothing else") {
  CHECK(sampler_label("euler_a") == "Euler a");
  CHECK(sampler_label("PNDMScheduler") == "PLMS");
  CHECK(sampler_label("dpm++_2m_sde_karras") == "DPM++ 2M SDE Karras");
  const std::string message = refusal_of("magic", {});
  CHECK(has(message, "magic"));
  for (const std::string& name : scheduler_names()) {
    CHECK(has(message, name));
    CHECK(make_scheduler(name, config(), 10)->timesteps().size() >= 10);
  }
}

TEST_CASE("options that would change numbers and are not supported are refused") {
  const auto refused = [](const char* name, const json& file) {
    const std::string message = refusal_of(name, file);
    return has(message, file.begin().key()) && has(message, "not supported");
  };
  CHECK(refused("ddim", {{"trained_betas", {0.1, 0.2}}}));
  CHECK(refused("ddpm", {{"beta_schedule", "sigmoid"}}));
  CHECK(refused("ddpm", {{"variance_type", "fixed_large_log"}}));
  CHECK(refused("euler", {{"use_beta_sigmas", true}}));
  CHECK(refused("euler", {{"sigma_max", 80.0}}));
  CHECK(refused("euler_a", {{"prediction_type", "sample"}}));
  CHECK(refused("PNDMScheduler", {{"skip_prk_steps", false}}));
  CHECK(refused("dpm++_2m", {{"use_lu_lambdas", true}}));
  CHECK(refused("dpm++_2m", {{"solver_order", 4}}));
  CHECK(refused("unipc", {{"predict_x0", false}}));
  CHECK(refused("unclip", {{"beta_schedule", "linear"}}));
  CHECK(has(refusal_of("dpm++_2m_sde", {{"solver_order", 3}}), "solver_order 3"));
  CHECK(has(refusal_of("unipc", {{"lower_order_final", false}}), "lower_order_final"));
  CHECK(has(refusal_of("heun", {{"use_karras_sigmas", true}, {"use_exponential_sigmas", true}}),
            "at most one"));
  const json no_signal = {{"rescale_betas_zero_snr", true}, {"timestep_spacing", "trailing"}};
  CHECK(has(refusal_of("ddim", no_signal), "holds no signal"));
  CHECK(refusal_of("euler", no_signal).empty());
}

TEST_CASE("a class ignores the options of others, as from_config does") {
  const json file = {{"_class_name", "DEISMultistepScheduler"}, {"use_lu_lambdas", true}};
  CHECK(refusal_of("euler", file).empty());
  CHECK(has(refusal_of("DEISMultistepScheduler", file), "not known"));
  // DDIM clips unless told otherwise; Euler cannot.
  CHECK(config({{"_class_name", "DDIMScheduler"}}).clip_sample);
  CHECK(!config({{"clip_sample", true}}).for_class("EulerDiscreteScheduler").clip_sample);
  CHECK(config({{"steps_offset", 1}})
            .for_class("PNDMScheduler", {{"skip_prk_steps", true}})
            .steps_offset == 1);
}

TEST_CASE("a file with a value of a wrong type or size is corrupt") {
  const auto corrupt = [](const json& file) {
    return has(refusal([&] { config(file); }, Kind::corrupt), file.begin().key());
  };
  CHECK(corrupt({{"num_train_timesteps", 0}}));
  CHECK(corrupt({{"num_train_timesteps", "many"}}));
  CHECK(corrupt({{"beta_end", 1.5}}));
  CHECK(corrupt({{"steps_offset", -1}}));
  CHECK(has(
      refusal(
          [] { config({{"_class_name", "DDIMScheduler"}, {"dynamic_thresholding_ratio", 2.0}}); },
          Kind::corrupt),
      "expected 0 to 1"));
}

TEST_CASE("eta is DDIM's, from 0 to 1") {
  CHECK(refusal_of("ddim", {}, 10, 1).empty());
  CHECK(has(refusal_of("ddim", {}, 10, 1.5), "from 0 to 1"));
  CHECK(has(refusal_of("euler", {}, 10, 0.5), "option of ddim"));
}

TEST_CASE("where image-to-image and a hand-over start") {
  const auto euler =
      make_scheduler("euler", config({{"timestep_spacing", "leading"}, {"steps_offset", 1}}), 40);
  CHECK(euler->start_of_strength(0.3) == 28);
  CHECK(euler->start_of_strength(1) == 0);
  CHECK(euler->start_of_strength(0) == 40);
  // Base and refiner of SDXL at 0.8: 32 steps down to 201, then 8 from 176.
  CHECK(euler->end_of_denoising(0.8) == 32);
  CHECK(euler->start_of_denoising(0.8) == 32);
  CHECK(euler->timesteps()[31] == 201);
  CHECK(euler->timesteps()[32] == 176);
  CHECK(has(refusal([&] { euler->start_of_strength(1.01); }), "expected 0 to 1"));
  CHECK(has(refusal([&] { euler->end_of_denoising(std::nan("")); }), "expected 0 to 1"));

  const auto heun = make_scheduler("heun", config(), 10);
  CHECK(heun->timesteps().size() == 19);
  CHECK(heun->start_of_strength(0.5) == 10);
  CHECK(heun->start_of_denoising(0.5) % 2 == 0);
  const auto pndm = make_scheduler("pndm", config(), 50);
  CHECK(pndm->timesteps().size() == 51);
  CHECK(pndm->start_of_strength(0.6) == 20);
}

TEST_CASE("each row's noise is its own generator's") {
  NoiseSource both({7, 8}), second({8});
  const at::Tensor first = both.draw({2, 3, 4});
  CHECK(at::equal(first[1], second.draw({1, 3, 4})[0]));
  CHECK(at::equal(both.draw_like(first)[1], second.draw({1, 3, 4})[0]));
  CHECK(has(refusal([&] { both.draw({3, 4}); }, Kind::internal), "one generator a row"));
}

TEST_CASE("answers of another shape are refused; a variance beside the mean is left out") {
  NoiseSource none({});
  const at::Tensor x = at::ones({1, 2, 4});
  const auto scheduler = make_scheduler("ddim", config({{"clip_sample", false}}), 10);
  const at::Tensor answer = at::full({1, 2, 4}, 0.5);
  const at::Tensor plain = scheduler->step(answer, 0, x, none);
  CHECK(at::equal(plain, scheduler->step(at::cat({answer, x}, 1), 0, x, none)));
  CHECK(has(refusal([&] { scheduler->step(at::ones({1, 3, 4}), 0, x, none); }, Kind::internal),
            "twice the channels"));
  const auto learned = make_scheduler("unclip", config({{"variance_type", "learned_range"}}), 10);
  NoiseSource one({1});
  CHECK(has(refusal([&] { learned->step(answer, 0, x, one); }, Kind::corrupt), "learned_range"));
}

TEST_CASE("the clean sample of a step is what the model says of it") {
  NoiseSource none({});
  const at::Tensor clean = at::linspace(-1, 1, 8).view({1, 2, 4}), noise = clean.flip(1);
  for (const std::string& name : {"euler", "heun", "ddim", "pndm", "dpm++_2m", "unipc"}) {
    const auto scheduler = make_scheduler(name, config({{"clip_sample", false}}), 10);
    scheduler->step(noise, 4, scheduler->add_noise(clean, noise, 4), none);
    CHECK(at::allclose(scheduler->predicted_clean(), clean, 1e-5, 1e-5));
  }
}
