// What a painter tells on the way, with the embedded model; and what a request stands for.
#include "pipeline/painter.h"

#include <doctest/doctest.h>

#include "core/error.h"
#include "pipeline/autoencoders.h"
#include "pipeline/draw.h"

using namespace longhand;

namespace {

Painter pocket(bool previews = true) {
  return {home() / "models" / "pocket", {.dtype = at::kFloat, .previews = previews}};
}

PaintOptions options_of(int steps) {
  PaintOptions options;
  options.width = options.height = 64;
  options.steps = steps;
  return options;
}

const std::vector<Order> orders = {{.caption = "a red car", .seed = 1},
                                   {.caption = "a blue dog", .seed = 2}};

}  // namespace

TEST_CASE("previews are evenly spaced, and the last one is what is painted") {
  const Painter painter = pocket();
  PaintOptions options = options_of(5);
  int calls = 0;
  std::vector<Preview> seen;
  options.on_step = [&] { ++calls; };
  options.on_preview = [&](const Preview& preview) {
    CHECK(preview.step == calls);  // a step is counted before it is shown
    seen.push_back(preview);
  };
  const auto steps_seen = [&](int previews) {
    options.previews = previews;
    seen.clear();
    calls = 0;
    const auto images = painter.paint(orders, options);
    CHECK(calls == painter.steps(orders, options));
    std::vector<int> steps;
    for (const Preview& preview : seen) {
      CHECK(preview.steps == 5);
      REQUIRE(preview.pictures.size() == 2);
      steps.push_back(preview.step);
    }
    // This schedule ends without noise: the last prediction is the outcome. Each picture is decoded
    // by itself in a preview, whose sums may round otherwise.
    for (std::size_t i = 0; i < images.size(); ++i) {
      int worst = 0;
      const auto& shown = seen.back().pictures[i].pixels;
      REQUIRE(shown.size() == images[i].pixels.size());
      for (std::size_t k = 0; k < shown.size(); ++k) {
        worst = std::max(worst, std::abs(shown[k] - images[i].pixels[k]));
      }
      CHECK(worst <= 1);
    }
    return steps;
  };
  CHECK(steps_seen(10) == std::vector{1, 2, 3, 4, 5});
  CHECK(seen[0].pictures[0].pixels != seen[4].pictures[0].pixels);
  CHECK(steps_seen(2) == std::vector{3, 5});
  CHECK(steps_seen(1) == std::vector{5});
}

TEST_CASE("previews of an edit keep what its mask keeps") {
  const Painter painter = pocket();
  PaintOptions options = options_of(4);
  const at::Tensor picture = at::zeros({3, 64, 64}), mask = at::zeros({64, 64});
  mask.narrow(1, 32, 32).fill_(1);
  options.guide = {.picture = picture, .strength = 1, .mask = mask};
  std::vector<Image> first;
  options.on_preview = [&](const Preview& preview) {
    if (first.empty()) {
      first = preview.pictures;
    }
  };
  painter.paint(orders, options);
  REQUIRE(first.size() == 2);
  // Far from the mask's edge, both show the picture that they share, but for the autoencoder's
  // norms, which see the whole map; how much they give depends on what is painted beside it.
  const auto apart = [&](int from, int to) {
    std::int64_t sum = 0;
    for (int y = 0; y < first[0].height; ++y) {
      for (int x = 3 * from; x < 3 * to; ++x) {
        const auto k = static_cast<std::size_t>(y * first[0].width * 3 + x);
        sum += std::abs(first[0].pixels[k] - first[1].pixels[k]);
      }
    }
    return static_cast<double>(sum) / (3.0 * first[0].height * (to - from));
  };
  const double kept = apart(0, 16), painted = apart(40, 64);
  CAPTURE(kept);
  CAPTURE(painted);
  CHECK(painted > 15);
  CHECK(kept < painted / 5);
}

TEST_CASE("a preview that fails ends the painting; one that was not asked for is refused") {
  PaintOptions options = options_of(2);
  options.on_preview = [](const Preview&) { fail(Kind::unavailable, "the disk is full"); };
  CHECK_THROWS_WITH_AS(pocket().paint(orders, options), "the disk is full", Error);
  CHECK_THROWS_WITH_AS(pocket(false).paint(orders, options), doctest::Contains("without them"),
                       Error);
}

TEST_CASE("tiny autoencoders are told by the latents that they know") {
  const auto of = [](const char* config) {
    return tiny_autoencoder(nlohmann::json::parse(config));
  };
  CHECK(of(R"({"_class_name": "AutoencoderKL"})") == "taesd");  // the first files lack the factor
  CHECK(of(R"({"_class_name": "AutoencoderKL", "scaling_factor": 0.13025})") == "taesdxl");
  for (const char* other : {R"({"_class_name": "VQModel"})",
                            R"({"_class_name": "AutoencoderKL", "scaling_factor": 0.5})",
                            R"({"_class_name": "AutoencoderKL", "latent_channels": 16})"}) {
    CHECK_THROWS_WITH_AS(of(other), doctest::Contains("no tiny autoencoder"), Error);
  }
}

TEST_CASE("how a run was painted, in words that tell it from others") {
  PaintRequest request;
  request.steps = 25;
  request.scheduler = "ddim";
  request.guidance = 4;
  request.guidance_rescale = 0;
  request.size = Size{128, 128};
  request.seed = 3;
  CHECK(painting_text(request) == "25 steps of ddim, guidance 4, 128x128, auto");
  request.lora = {"style.safetensors:0.5"};
  request.negative_prompt = "a dog";
  request.imagine = true;
  CHECK(painting_text(request) ==
        "25 steps of ddim, guidance 4, 128x128, auto, lora [\"style.safetensors:0.5\"], imagine, "
        "negative_prompt a dog");
}

TEST_CASE("what lengthening takes from a request for pictures") {
  PaintRequest request;
  request.llm = "http://localhost:1/v1";
  request.llm_timeout = 7;
  const UpsampleRequest upsampling = upsampling_of(request, {}, 50);
  CHECK(upsampling.llm == request.llm);
  CHECK(upsampling.llm_timeout == 7);
  CHECK(upsampling.max_tokens == 50);
}
