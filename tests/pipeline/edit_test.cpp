// Editing beside the networks: cut-outs, masks, strokes, the search for a strength, and SDEdit's
// loop with a model whose answers are known.
#include "pipeline/edit.h"

#include <doctest/doctest.h>

#include <set>

#include "../refusals.h"
#include "core/error.h"
#include "pipeline/compositing.h"
#include "pipeline/strokes.h"

using namespace longhand;

namespace {

Image filled(int width, int height, const std::vector<std::uint8_t>& pixel) {
  Image image(width, height, static_cast<int>(pixel.size()));
  for (std::size_t i = 0; i < image.pixels.size(); ++i) {
    image.pixels[i] = pixel[i % pixel.size()];
  }
  return image;
}

/// Each byte another, transparent in part.
Image colourful(int width, int height, int channels) {
  Image image(width, height, channels);
  for (std::size_t i = 0; i < image.pixels.size(); ++i) {
    image.pixels[i] = static_cast<std::uint8_t>(i * 37 + i / 7);
  }
  return image;
}

std::vector<std::uint8_t> pixel(const Image& image, int x, int y) {
  const auto* at = &image.pixels[(static_cast<std::size_t>(y) * image.width + x) * image.channels];
  return {at, at + image.channels};
}

}  // namespace

TEST_CASE("where a cut-out goes") {
  const Paste paste = parse_paste("a@b.png@-4,60,0.5");
  CHECK(paste.file == "a@b.png");
  CHECK(paste.x == -4);
  CHECK(paste.y == 60);
  CHECK(paste.scale == 0.5);
  CHECK(parse_paste("cat.png@1,2").scale == 1);
  for (const char* text : {"cat.png", "@1,2", "cat.png@", "cat.png@1", "cat.png@1,2,3,4",
                           "cat.png@1.5,2", "cat.png@1,2,0", "cat.png@1,2,nan", "cat.png@a,b"}) {
    CAPTURE(text);
    CHECK(refusal([&] { parse_paste(text); }).find("--paste") != std::string::npos);
  }
}

TEST_CASE("a cut-out covers as much as it is opaque, and leaves the rest to the byte") {
  const Image picture = colourful(5, 4, 3);
  Image cutout = filled(3, 3, {200, 100, 0, 255});
  cutout.pixels[3] = 0;                                // 0, 0 is transparent
  cutout.pixels[4 + 3] = 51;                           // 1, 0 covers a fifth
  const Image result = pasted(picture, cutout, 3, 0);  // the right column is cut off
  CHECK(pixel(result, 3, 0) == pixel(picture, 3, 0));
  const auto under = pixel(picture, 4, 0), mixed = pixel(result, 4, 0);
  for (std::size_t c = 0; c < 3; ++c) {
    const int over = std::vector{200, 100, 0}[c];
    CHECK(mixed[c] == std::lround(0.2 * over + 0.8 * under[c]));
  }
  CHECK(pixel(result, 4, 2) == std::vector<std::uint8_t>{200, 100, 0});
  CHECK(pixel(result, 2, 1) == pixel(picture, 2, 1));
  CHECK(pixel(result, 4, 3) == pixel(picture, 4, 3));
  CHECK(pasted(picture, cutout, 5, 0).pixels == picture.pixels);
  CHECK(pasted(picture, cutout, -3, 0).pixels == picture.pixels);
}

TEST_CASE("on a transparent picture a cut-out keeps its own colour and opacity") {
  Image picture = colourful(4, 4, 4);
  for (std::size_t i = 3; i < picture.pixels.size(); i += 4) {
    picture.pixels[i] = 0;
  }
  const Image result = pasted(picture, filled(2, 2, {10, 20, 30, 128}), 1, 1);
  CHECK(pixel(result, 1, 1) == std::vector<std::uint8_t>{10, 20, 30, 128});
  CHECK(pixel(result, 0, 0) == pixel(picture, 0, 0));
}

TEST_CASE("opacity, and the mask around it") {
  const Image picture(20, 10, 3);
  const at::Tensor opacity = opacity_of_paste(picture, filled(2, 2, {1, 2, 3, 51}), 19, -1);
  CHECK(opacity.sum().item<float>() == doctest::Approx(0.2));
  CHECK(opacity[0][19].item<float>() == doctest::Approx(0.2));
  const at::Tensor mask = widened(opacity_of_paste(picture, filled(3, 3, {1, 2, 3}), 8, 3), 2);
  CHECK(at::all(mask.narrow(0, 3, 3).narrow(1, 8, 3) == 1).item<bool>());
  CHECK(mask[4][4].item<float>() > 0);
  CHECK(mask[4][4].item<float>() < 1);
  CHECK(mask[4][3].item<float>() == 0);  // more than twice the margin away
  CHECK(at::all(mask.narrow(1, 15, 5) == 0).item<bool>());
}

TEST_CASE("masks are read as lightness") {
  const auto value = [](const std::vector<std::uint8_t>& pixel) {
    return mask_of(filled(1, 1, pixel)).item<float>();
  };
  CHECK(value({255, 255, 255}) == 1);
  CHECK(value({0, 0, 0}) == 0);
  CHECK(value({128, 128, 128}) == doctest::Approx(128 / 255.0));
  CHECK(value({0, 255, 0}) == doctest::Approx(150 / 255.0));  // PIL's convert("L") of pure green
  CHECK(value({255, 255, 255, 0}) == 0);
}

TEST_CASE("what is kept is kept to the byte, at the picture's size") {
  for (const int channels : {3, 4}) {
    Canvas canvas{.name = "x", .picture = colourful(13, 9, channels)};
    canvas.mask = at::zeros({9, 13});
    canvas.mask.narrow(1, 6, 7).fill_(1);
    canvas.mask.select(1, 5).fill_(0.5);
    const Image result = finished(canvas, filled(8, 8, {250, 128, 3}));
    CHECK(result.width == 13);
    CHECK(result.channels == channels);
    for (int y = 0; y < 9; ++y) {
      for (int x = 0; x < 5; ++x) {
        CHECK(pixel(result, x, y) == pixel(canvas.picture, x, y));
      }
      std::vector<std::uint8_t> painted = {250, 128, 3};
      CHECK(std::abs(pixel(result, 5, y)[0] - (pixel(canvas.picture, 5, y)[0] + 250) / 2.0) <= 1);
      painted.resize(static_cast<std::size_t>(channels), 255);
      CHECK(pixel(result, 12, y) == painted);
    }
  }
}

TEST_CASE("transparent parts are edited as white") {
  CHECK(flattened(filled(1, 1, {10, 20, 30, 0})).pixels ==
        std::vector<std::uint8_t>{255, 255, 255});
  CHECK(flattened(filled(1, 1, {0, 100, 255, 51})).pixels ==
        std::vector<std::uint8_t>{204, 224, 255});
}

TEST_CASE("the difference of two pictures") {
  const Image black(2, 1, 3);
  Image other = black;
  other.pixels[0] = 255;
  CHECK(rms_difference(black, black, {}) == 0);
  CHECK(rms_difference(black, other, {}) == doctest::Approx(std::sqrt(1 / 6.0)));
  CHECK(rms_difference(black, other, at::tensor({1.0F, 0.0F}).unsqueeze(0)) ==
        doctest::Approx(std::sqrt(1 / 3.0)));
  CHECK(rms_difference(black, other, at::tensor({0.0F, 1.0F}).unsqueeze(0)) == 0);
}

TEST_CASE("the search for a strength") {
  for (const int steps : {1, 2, 25, 29, 100}) {
    CAPTURE(steps);
    const auto run = [&](double strength) { return static_cast<int>(strength * steps); };
    for (int limit = 1; limit <= steps; ++limit) {
      int calls = 0, last_within = 0;
      const double found = largest_strength(steps, limit, [&](double strength) {
        ++calls;
        last_within = run(strength) <= limit ? run(strength) : last_within;
        return static_cast<double>(run(strength));
      });
      CHECK(run(found) == limit);
      CHECK(last_within == limit);
      CHECK(calls <= std::log2(steps + 1) + 1);
      CHECK(found <= 1);
    }
    CHECK(refusal([&] {
            largest_strength(steps, 0.5, [&](double strength) { return run(strength) * 1.0; });
          }).find("raise --faithfulness above") != std::string::npos);
  }
}

TEST_CASE("strength is a number from 0 to 1, or auto") {
  EditChoices choices;
  CHECK(strength_of(choices) == 0.5);
  choices.strength = "auto";
  CHECK(!strength_of(choices));
  for (const char* text : {"1.1", "-0.1", "much", "", "nan"}) {
    choices.strength = text;
    CAPTURE(text);
    CHECK(refusal([&] { strength_of(choices); }).find("strength") != std::string::npos);
  }
}

namespace {

/// Edits latents with a model that always takes `target` for the clean sample.
at::Tensor edited_to(const at::Tensor& latents, const at::Tensor& target, const PictureGuide& guide,
                     const std::string& name, int* calls = nullptr) {
  const auto config = SchedulerConfig::from_json(
      {{"_class_name", "DDIMScheduler"}, {"prediction_type", "sample"}, {"clip_sample", false}});
  NoiseSource noise({1});
  return edited_latents([&] { return make_scheduler(name, config, 10); },
                        [&](const at::Tensor&, double) { return target; }, latents, guide, noise,
                        [&](const at::Tensor& predicted) {
                          *calls += 1;
                          if (guide.mask.defined()) {  // what is kept shows on the way too
                            CHECK(at::equal(predicted.narrow(3, 0, 2), latents.narrow(3, 0, 2)));
                          }
                        });
}

}  // namespace

TEST_CASE("SDEdit's loop keeps the masked part's latents and paints the rest") {
  const at::Tensor latents = at::full({1, 2, 4, 4}, 0.3F), target = at::full({1, 2, 4, 4}, -0.7F);
  PictureGuide guide{.picture = {}, .strength = 0.5, .mask = at::zeros({8, 8}), .repeats = 3};
  guide.mask.narrow(1, 4, 4).fill_(1);
  for (const char* name : {"ddim", "ddpm", "euler", "dpm++_2m"}) {
    CAPTURE(name);
    int calls = 0;
    const at::Tensor result = edited_to(latents, target, guide, name, &calls);
    CHECK(calls == 15);
    CHECK(at::equal(result.narrow(3, 0, 2), latents.narrow(3, 0, 2)));
    CHECK(at::allclose(result.narrow(3, 2, 2), target.narrow(3, 2, 2), 1e-4, 1e-4));
  }
}

TEST_CASE("a strength too small for one step is refused") {
  SchedulerConfig config;
  const auto scheduler = make_scheduler("ddim", config, 10);
  PictureGuide guide{.strength = 0.09};
  CHECK(refusal([&] { calls_of_edit(*scheduler, guide); }).find("more steps") != std::string::npos);
  guide.strength = 0.1;
  CHECK(calls_of_edit(*scheduler, guide) == 1);
  guide.repeats = 4;
  guide.strength = 1;
  CHECK(calls_of_edit(*scheduler, guide) == 40);
}

TEST_CASE("strokes are few colours, flat where the photo is") {
  Image photo = colourful(64, 48, 3);
  for (int y = 0; y < 48; ++y) {  // halves of red and blue, with specks away from their edge
    for (int x = 0; x < 64; ++x) {
      auto* at = &photo.pixels[(static_cast<std::size_t>(y) * 64 + x) * 3];
      const bool speck = std::abs(x - 32) > 6 && (x * 7 + y * 13) % 11 == 5;
      at[0] = speck ? 255 : x < 32 ? 200 : 10;
      at[1] = speck ? 255 : 20;
      at[2] = speck ? 255 : x < 32 ? 30 : 220;
    }
  }
  const Image two = strokes_of(photo, {.kernel = 7, .colours = 2});
  std::set<std::vector<std::uint8_t>> seen;
  for (int y = 0; y < 48; ++y) {
    for (int x = 0; x < 64; ++x) {
      seen.insert(pixel(two, x, y));
    }
  }
  CHECK(seen.size() == 2);
  CHECK(pixel(two, 4, 20) == std::vector<std::uint8_t>{200, 20, 30});
  CHECK(pixel(two, 60, 20) == std::vector<std::uint8_t>{10, 20, 220});
  CHECK(refusal([&] { strokes_of(photo, {.kernel = 4}); }).find("odd") != std::string::npos);
}

TEST_CASE("a palette has no more colours than are asked for or are there") {
  const bool one = palette_of(filled(5, 5, {1, 2, 3}), 6) == std::vector<Colour>{{1, 2, 3}};
  CHECK(one);
  const Image many = colourful(40, 40, 3);
  for (const int count : {1, 3, 6, 50, 256}) {
    CAPTURE(count);
    const auto palette = palette_of(many, count);
    CHECK(palette.size() == static_cast<std::size_t>(count));
    const bool again = palette == palette_of(many, count);
    CHECK(again);
  }
  const auto off = [&](int count) {
    return rms_difference(many, quantised(many, palette_of(many, count)), {});
  };
  CHECK(off(6) < off(2));
  CHECK(off(50) < off(6));
}
