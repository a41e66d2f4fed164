// Alt-texts as pictures in the web have them: short, noisy, often beside the point.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "world/nouns.h"
#include "world/places.h"
#include "world/sprites.h"
#include "world/world.h"

namespace longhand {
namespace {

// What share of alt-texts is what: the rest names the main thing.
constexpr double file_name_share = 0.10, empty_words_share = 0.05, wrong_share = 0.06;

std::string pick(Random& random, std::initializer_list<const char*> choices) {
  return random.pick(std::vector<const char*>(choices));
}

std::string file_name(const std::string& thing, Random& random) {
  std::string name = thing;
  std::ranges::replace(name, ' ', random.chance(0.5) ? '-' : '_');
  switch (random.below(7)) {
    case 0:
      return fmt::format("IMG_{:04}.jpg", random.below(10000));
    case 1:
      return fmt::format("DSC{:05}.JPG", random.below(100000));
    case 2:
      return fmt::format("image{}.png", random.below(40));
    case 3:
      return fmt::format("Screenshot {}-{:02}-{:02}.png", 2012 + random.below(12),
                         1 + random.below(12), 1 + random.below(28));
    case 4:
      return fmt::format("untitled-{}.png", 1 + random.below(9));
    case 5:
      return fmt::format("{}_{}x{}.jpg", name, 100 * (1 + random.below(12)),
                         100 * (1 + random.below(9)));
    default:
      return fmt::format("{}{}.png", name, random.below(100));
  }
}

std::string empty_words(Random& random) {
  return pick(random, {"image", "picture", "Photo", "click to enlarge", "Stock illustration",
                       "free clip art", "thumbnail", "my drawing", "Untitled", "logo", "banner"});
}

/// The thing, sometimes with its number, its colour or the word on it.
std::string subject(const Figure& figure, Random& random) {
  std::string text = figure.thing;
  if (figure.count > 1) {
    text = plural(figure.thing);
    if (random.chance(0.4)) {
      text = fmt::format("{} {}", figure.count, text);
    }
  } else if (!figure.colour.empty() && random.chance(0.4)) {
    text = figure.colour + " " + text;
  }
  if (!figure.text.empty() && random.chance(0.5)) {
    text = random.chance(0.5) ? figure.text + " " + text : figure.text;
  }
  return text;
}

std::string as_found(const std::string& text, Random& random) {
  switch (random.below(10)) {
    case 0:
      return text + pick(random, {" clipart", " clip art", " PNG", " icon", " vector", " sticker"});
    case 1:
      return text + pick(random, {" | Free Download", " - Stock Illustration", " royalty free",
                                  " for kids", " wallpaper", " by Anna"});
    case 2:
      return pick(random, {"cute ", "funny ", "vintage ", "beautiful ", "cartoon "}) + text;
    case 3:
      return text + pick(random, {"!", "!!", " :)", "...", " 2", " (1)"});
    case 4:
      return pick(random, {"picture of ", "Image of ", "drawing: ", "How to draw "}) + text;
    default:
      return text;
  }
}

}  // namespace

std::string World::alt_text(const Scene& scene, Random& random) const {
  const double share = random.uniform();
  if (share < file_name_share) {
    return file_name(scene.figures[0].thing, random);
  }
  if (share < file_name_share + empty_words_share) {
    return empty_words(random);
  }
  if (share < file_name_share + empty_words_share + wrong_share) {
    return as_found(random.pick(things()), random);
  }
  std::string text = subject(scene.figures[0], random);
  if (scene.figures.size() == 2 && random.chance(0.35)) {
    text += pick(random, {" and ", " & ", ", "}) + subject(scene.figures[1], random);
  }
  if (random.chance(0.2)) {
    text += (random.chance(0.5) ? " " : ", ") + std::string(place_named(scene.place).short_name);
  }
  text = as_found(text, random);
  if (random.chance(0.5)) {
    text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  }
  return text;
}

}  // namespace longhand
