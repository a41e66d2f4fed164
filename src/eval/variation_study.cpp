#include "eval/variation_study.h"

#include <fmt/format.h>

#include <algorithm>

#include "nn/pictures.h"
#include "pipeline/compositing.h"

namespace longhand {
namespace {

constexpr std::uint64_t varied = 103;  // stream of scenes

/// What all scenes gave of one way to vary.
struct Tally {
  std::optional<double> eta;
  int subjects = 0, all_things = 0;
  double likeness = 0, difference = 0;
};

bool shows(const SceneReading& reading, const Figure& figure, bool in_colour) {
  return std::ranges::any_of(reading.things, [&](const Detection& found) {
    return found.thing == figure.thing && (!in_colour || found.colour == figure.colour);
  });
}

double likeness(const DiffusionModel& model, const Image& one, const Image& other) {
  const c10::InferenceMode inference;
  const at::Tensor embeds = model.image_embeds_of({one, other}).to(at::kFloat);
  return 100 * at::cosine_similarity(embeds[0], embeds[1], 0).item<double>();
}

std::vector<Image> variations_of(const Image& picture, const std::vector<Tally>& ways,
                                 std::int64_t seed, const Painter& painter, PaintOptions options) {
  const auto embeds = [&] {
    const c10::InferenceMode inference;
    return painter.model().image_embeds_of({picture})[0];
  }();
  const Order from_noise{.caption = "", .seed = seed, .image_embeds = embeds};
  PaintOptions own = options;
  own.unbounded = true;
  Order from_own = from_noise;
  from_own.noise = painter.noise_of(picture, from_noise, own);
  std::vector<Image> pictures;
  for (const Tally& way : ways) {
    own.eta = way.eta.value_or(0);
    pictures.push_back(way.eta ? painter.paint({from_own}, own).front()
                               : painter.paint({from_noise}, options).front());
  }
  return pictures;
}

}  // namespace

std::vector<VariationPoint> variation_study(const SceneJudge& judge, const Painter& painter,
                                            const PaintOptions& options,
                                            const VariationStudyOptions& study,
                                            const OnVariedScene& on_scene) {
  const World world(judge.world());
  std::vector<Tally> ways;
  for (const double eta : study.etas) {
    ways.push_back({.eta = eta});
  }
  ways.emplace_back();
  for (int i = 0; i < study.scenes; ++i) {
    Random random({static_cast<std::uint64_t>(study.seed), varied, static_cast<std::uint64_t>(i)});
    const Scene scene = world.sample(random);
    const Image picture = world.draw(scene, options.width);
    std::vector<Image> pictures = variations_of(picture, ways, study.seed + i, painter, options);
    const std::vector<SceneReading> readings = judge.read(pictures);
    for (std::size_t at = 0; at < ways.size(); ++at) {
      const auto shown = [&](bool in_colour) {
        return
            [&, in_colour](const Figure& figure) { return shows(readings[at], figure, in_colour); };
      };
      ways[at].subjects += shown(false)(scene.figures.front()) ? 1 : 0;
      ways[at].all_things += std::ranges::all_of(scene.figures, shown(true)) ? 1 : 0;
      ways[at].likeness += likeness(painter.model(), picture, pictures[at]) / study.scenes;
      ways[at].difference += rms_difference(picture, pictures[at], {}) / study.scenes;
    }
    pictures.insert(pictures.begin(), picture);
    on_scene(i, pictures);
  }
  std::vector<VariationPoint> points;
  for (const Tally& way : ways) {
    points.push_back({way.eta, share_of(way.subjects, study.scenes),
                      share_of(way.all_things, study.scenes), way.likeness, way.difference});
  }
  return points;
}

std::string variation_table(const std::vector<VariationPoint>& points) {
  std::string table =
      "| painted from | keep the subject | keep all things and their colours | likeness in CLIP | "
      "difference of pixels |\n|---|---|---|---|---|\n";
  for (const VariationPoint& point : points) {
    table += fmt::format(
        "| {} | {} | {} | {:.1f} | {:.3f} |\n",
        point.eta ? fmt::format("the picture's own noise, η {:g}", *point.eta) : "noise alone",
        text_of(point.subject), text_of(point.things), point.likeness, point.difference);
  }
  return table;
}

}  // namespace longhand
