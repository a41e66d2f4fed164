#include "train/captions.h"

#include <algorithm>

#include "core/error.h"
#include "io/table.h"
#include "models/config.h"
#include "nn/pictures.h"
#include "pipeline/captioner.h"

namespace longhand {

namespace {

/// The scene with one thing said otherwise: its colours or its things exchanged, or another thing,
/// colour, count or place. Descriptions of the two are what a reader of bags of words confuses.
Scene told_otherwise(const World& world, Scene scene, Random& random) {
  Figure& first = scene.figures[0];
  const int count = static_cast<int>(scene.figures.size());
  Figure& any = scene.figures[static_cast<std::size_t>(random.below(count))];
  switch (random.below(count > 1 ? 6 : 4)) {
    case 0:
      // Words stand on signs alone: what a sign says is what makes it another.
      if (any.text.empty()) {
        any.thing = random.pick(world.things());
      } else {
        any.text = random.pick(world.words());
      }
      break;
    case 1:
      any.colour = random.pick(World::colours());
      break;
    case 2:
      any.count = 1 + random.below(count > 1 ? 2 : 4);  // on a grid two fit beside another thing
      break;
    case 3:
      scene.place = random.pick(world.places());
      break;
    case 4:
      std::swap(first.colour, scene.figures[1].colour);
      break;
    default:
      std::swap(first, scene.figures[1]);
  }
  return scene;
}

}  // namespace

std::string caption_of(const World& world, const Scene& scene, const std::string& kind,
                       Random& random) {
  return kind == "alt"     ? world.alt_text(scene, random)
         : kind == "short" ? world.short_caption(scene, random)
                           : world.descriptive_caption(scene, random);
}

CaptionMix::CaptionMix(const World& world, const nlohmann::json& recipe, std::int64_t scenes)
    : world_(world),
      shares_(config_value<std::map<std::string, double>>(
          recipe, "captions", {{"short", 0.35}, {"descriptive", 0.65}})) {
  double all = 0;
  for (const auto& [kind, share] : shares_) {
    if (std::ranges::find(captioner_kinds(), kind) == captioner_kinds().end() || share < 0) {
      fail(Kind::corrupt,
           "a recipe's \"captions\" are shares of alt, short and descriptive; got {} of {}", share,
           kind);
    }
    all += share;
  }
  for (auto& [kind, share] : shares_) {
    share /= all;
  }
  if (const auto table = config_value<std::string>(recipe, "written_captions", "");
      !table.empty()) {
    read_written(table, scenes);
  }
}

void CaptionMix::read_written(const fs::path& table, std::int64_t scenes) {
  const auto reader = RowReader::open(table);
  const auto& columns = reader->columns();
  for (std::int64_t number = 0; const auto row = reader->next(); ++number) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (columns[i] != written_number) {
        written_[columns[i]].push_back((*row)[i]);
      } else if ((*row)[i] != std::to_string(number)) {
        fail(Kind::corrupt, "{}: row {} is of scene {}; expected the scenes in their order",
             table.string(), number, (*row)[i]);
      }
    }
  }
  for (const char* kind : {"short", "descriptive"}) {
    if (std::ssize(written_[kind]) < scenes) {
      fail(Kind::corrupt, "{} has {} captions of kind {}, and {} scenes are trained on",
           table.string(), written_[kind].size(), kind, scenes);
    }
  }
}

CaptionMix::Drawn CaptionMix::draw(const Scene& scene, std::int64_t number, Random& random) const {
  double left = random.uniform();
  std::string kind = shares_.rbegin()->first;
  for (const auto& [name, share] : shares_) {
    if (left < share) {
      kind = name;
      break;
    }
    left -= share;
  }
  const auto written = written_.find(kind);
  return {kind, written == written_.end() ? caption_of(world_, scene, kind, random)
                                          : written->second[static_cast<std::size_t>(number)]};
}

std::string CaptionMix::wrong(const Scene& scene, const Drawn& right, Random& random) const {
  const auto seed = random();
  const auto caption = [&](const Scene& of) {
    Random phrasing({seed});
    return caption_of(world_, of, right.kind, phrasing);
  };
  const std::string as_it_is = caption(scene);
  std::string other = as_it_is;
  // What a short caption leaves out makes no difference to it.
  for (int tries = 0; tries < 32 && (other == as_it_is || other == right.caption); ++tries) {
    const Scene told = told_otherwise(world_, scene, random);
    // What is held out would be learnt to be always wrong.
    other = world_.held_out(told) ? as_it_is : caption(told);
  }
  return other;
}

std::vector<std::string> HeldBackScenes::captions(bool of_other_figures) const {
  std::vector<std::string> captions;
  for (int i = 0; i < count_; ++i) {
    Scene shown = scene(i);
    if (of_other_figures) {
      const Figure other = scene(i + 1).figures[0];
      shown.figures[0].thing = other.thing;
      shown.figures[0].colour = other.colour;
      shown.figures[0].text = other.text;
    }
    Random random({seed_, static_cast<std::uint64_t>(i)});
    captions.push_back(world_.descriptive_caption(shown, random));
  }
  return captions;
}

at::Tensor HeldBackScenes::latents(const Autoencoder& vae, int size, at::ScalarType dtype) const {
  std::vector<at::Tensor> pictures;
  for (int i = 0; i < count_; ++i) {
    pictures.push_back(picture_to_tensor(world_.draw(scene(i), size)));
  }
  return vae.latents_of(at::stack(pictures).to(dtype).contiguous(at::MemoryFormat::ChannelsLast));
}

}  // namespace longhand
