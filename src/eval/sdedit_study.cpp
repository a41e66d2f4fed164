#include "eval/sdedit_study.h"

#include <algorithm>
#include <cmath>

#include "nn/pictures.h"
#include "pipeline/compositing.h"
#include "pipeline/strokes.h"
#include "world/nouns.h"
#include "world/sprites.h"

namespace longhand {
namespace {

using at::Tensor;

constexpr std::size_t embedded_at_once = 64;
constexpr std::uint64_t references = 101, edited = 102;  // streams of scenes

Tensor embeds_of(const DiffusionModel& model, const std::vector<Image>& pictures) {
  const c10::InferenceMode inference;
  std::vector<Tensor> parts;
  for (std::size_t at = 0; at < pictures.size(); at += embedded_at_once) {
    const auto end = std::min(pictures.size(), at + embedded_at_once);
    parts.push_back(model
                        .image_embeds_of({pictures.begin() + static_cast<std::ptrdiff_t>(at),
                                          pictures.begin() + static_cast<std::ptrdiff_t>(end)})
                        .to(at::kCPU, at::kFloat));
  }
  return at::cat(parts);
}

Scene scene_of(const World& world, std::int64_t seed, std::uint64_t stream, int number) {
  Random random({static_cast<std::uint64_t>(seed), stream, static_cast<std::uint64_t>(number)});
  return world.sample(random);
}

/// What is edited, where, and towards what.
struct Guided {
  Image picture;
  Tensor mask;  // [height, width]; undefined: everywhere
  std::string caption;
};

/// A thing of another style than the scene's, somewhere on its picture.
Guided paste_on(const World& world, const Scene& scene, const Image& picture, std::string caption,
                double share, Random& random) {
  const std::string thing = random.pick(world.things());
  std::string style = random.pick(world.styles());
  while (style == scene.style && world.styles().size() > 1) {
    style = random.pick(world.styles());
  }
  const int height = static_cast<int>(share * picture.height);
  const int width = std::min(
      static_cast<int>(std::lround(height * world.sprites().aspect(thing, style))), picture.width);
  const Image cutout =
      cutout_of(world.sprites().drawn(thing, style, "", std::max(width, 1), height));
  const int x = random.below(picture.width - cutout.width + 1);
  const int y = random.below(picture.height - cutout.height + 1);
  constexpr int margin_share = 32;  // as `longhand edit` has it
  return {pasted(picture, cutout, x, y),
          widened(opacity_of_paste(picture, cutout, x, y), picture.height / margin_share),
          caption +
              (plural_only(thing) ? " There are also " + thing
                                  : " There is also " + with_article(thing)) +
              "."};
}

Guided guided(const World& world, const Scene& scene, const Image& picture,
              const SdeditStudyOptions& study, Random& random) {
  const std::string caption = world.descriptive_caption(scene, random);
  if (study.guide == SdeditGuide::paste) {
    return paste_on(world, scene, picture, caption, study.paste_height, random);
  }
  return {strokes_of(picture, {.kernel = {}, .colours = study.colours}), {}, caption};
}

Image edit_of(const Painter& painter, PaintOptions options, const Guided& guided, double strength,
              std::int64_t seed) {
  options.guide = PictureGuide{
      .picture = picture_to_tensor(guided.picture), .strength = strength, .mask = guided.mask};
  const Image edit = painter.paint({{.caption = guided.caption, .seed = seed}}, options).front();
  return guided.mask.defined() ? blended(guided.picture, edit, guided.mask) : edit;
}

/// Mean of k(x, y) over all pairs; over those of different rows where both are one set.
double mean_kernel(const Tensor& a, const Tensor& b, bool one_set) {
  const double width = static_cast<double>(a.size(1));
  const Tensor k = (at::matmul(a, b.t()) / width + 1).pow(3);
  if (!one_set) {
    return k.mean().item<double>();
  }
  const double n = static_cast<double>(a.size(0));
  return ((k.sum() - k.diagonal().sum()) / (n * (n - 1))).item<double>();
}

}  // namespace

double kernel_distance(const Tensor& a, const Tensor& b) {
  const auto scaled = [](const Tensor& x) {
    const Tensor wide = x.to(at::kDouble);
    return wide / wide.norm(2, 1, true) * std::sqrt(static_cast<double>(x.size(1)));
  };
  const Tensor x = scaled(a), y = scaled(b);
  return mean_kernel(x, x, true) + mean_kernel(y, y, true) - 2 * mean_kernel(x, y, false);
}

std::size_t SdeditStudy::best() const {
  const auto range = [&](double SdeditPoint::* figure) {
    const auto [low, high] = std::ranges::minmax_element(points, {}, figure);
    return std::pair{*low.*figure, std::max(1e-12, *high.*figure - *low.*figure)};
  };
  const auto [realism_low, realism_range] = range(&SdeditPoint::realism_distance);
  const auto [guide_low, guide_range] = range(&SdeditPoint::guide_distance);
  const auto cost = [&, realism_low = realism_low, realism_range = realism_range,
                     guide_low = guide_low, guide_range = guide_range](const SdeditPoint& point) {
    return (point.realism_distance - realism_low) / realism_range +
           (point.guide_distance - guide_low) / guide_range;
  };
  return static_cast<std::size_t>(std::ranges::min_element(points, {}, cost) - points.begin());
}

SdeditStudy sdedit_study(const World& world, const Painter& painter, const PaintOptions& options,
                         const SdeditStudyOptions& study, const OnScene& on_scene) {
  std::vector<Image> real;
  for (int i = 0; i < study.references; ++i) {
    real.push_back(world.draw(scene_of(world, study.seed, references, i), options.width));
  }
  const Tensor reference = embeds_of(painter.model(), real);
  const std::size_t strengths = study.strengths.size();
  std::vector<Image> guides;
  std::vector<std::vector<Image>> edits(strengths);
  std::vector<double> distances(strengths, 0);
  for (int i = 0; i < study.scenes; ++i) {
    const Scene scene = scene_of(world, study.seed, edited, i);
    Random random({static_cast<std::uint64_t>(study.seed), static_cast<std::uint64_t>(i)});
    std::vector<Image> pictures = {world.draw(scene, options.width)};
    const Guided guide = guided(world, scene, pictures.front(), study, random);
    guides.push_back(guide.picture);
    pictures.push_back(guide.picture);
    for (std::size_t at = 0; at < strengths; ++at) {
      pictures.push_back(edit_of(painter, options, guide, study.strengths[at], study.seed + i));
      edits[at].push_back(pictures.back());
      distances[at] += rms_difference(pictures.back(), guide.picture, guide.mask) / study.scenes;
    }
    on_scene(i, pictures);
  }
  SdeditStudy result{{0, kernel_distance(embeds_of(painter.model(), guides), reference), 0}, {}};
  for (std::size_t at = 0; at < strengths; ++at) {
    result.points.push_back({study.strengths[at],
                             kernel_distance(embeds_of(painter.model(), edits[at]), reference),
                             distances[at]});
  }
  return result;
}

}  // namespace longhand
