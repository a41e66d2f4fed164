#include "eval/caption_study.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

#include "core/interrupt.h"
#include "core/letters.h"
#include "core/progress.h"
#include "eval/evaluation.h"
#include "io/markup.h"
#include "text/fidelity.h"
#include "world/nouns.h"
#include "world/phrases.h"

namespace longhand {
namespace {

constexpr std::uint64_t captioned = 104;  // stream of scenes
constexpr int batch = 16;

/// What a caption has to say, by aspect; things' names are looked for in its first sentence, as
/// backgrounds have stars and trees of their own.
using Asked = std::map<std::string, std::vector<std::string>>;

Asked asked_of(const Scene& scene) {
  Asked asked{{"place", {scene.place}}, {"style", {scene.style}}};
  if (!scene.weather.empty()) {
    asked["weather"] = {scene.weather};
  }
  for (const Figure& figure : scene.figures) {
    asked["things"].push_back(figure.thing);
    if (!figure.colour.empty()) {
      asked["colours"].push_back(figure.colour + " " + figure.thing);
    }
    asked["numbers"].push_back(phrase({figure.thing, "", figure.count}, "", true));
  }
  return asked;
}

bool says(const std::string& caption, const Demands& asked) {
  const Verdict verdict = asked.judge(caption);
  return verdict.lost.empty() && verdict.contradictions.empty();
}

/// `first`: the caption's first sentence.
bool names_another(const World& world, const Scene& scene, const std::string& first) {
  return std::ranges::any_of(world.things(), [&](const std::string& thing) {
    const Demands named(lower(thing));
    const auto is_part = [&](const std::string& of) { return says(lower(of), named); };
    return is_part(first) && !is_part(scene.place) &&
           std::ranges::none_of(scene.figures, is_part, &Figure::thing);
  });
}

struct Span {
  std::size_t begin = std::string::npos, end = std::string::npos;  // npos for nowhere
};

/// Where whole words stand in a text.
Span span_of(const std::string& words, const std::string& text) {
  const auto letter = [&](std::size_t i) {
    return i < text.size() && std::isalpha(static_cast<unsigned char>(text[i])) != 0;
  };
  for (auto at = text.find(words); at != std::string::npos; at = text.find(words, at + 1)) {
    if (!letter(at - 1) && !letter(at + words.size())) {
      return {at, at + words.size()};
    }
  }
  return {};
}

/// Where a thing is named, in either number.
Span named_in(const std::string& text, const std::string& thing) {
  const Span one = span_of(thing, text), many = span_of(plural(thing), text);
  return one.begin < many.begin ? one : many;
}

/// Each word on a sign is said in a caption's first sentence, beside what that says of the place.
bool says_words(const Scene& scene, std::string first) {
  if (const auto at = first.find(scene.place); at != std::string::npos) {
    first.erase(at, scene.place.size());
  }
  return std::ranges::all_of(scene.figures, [&](const Figure& figure) {
    return figure.text.empty() || span_of(lower(figure.text), first).begin != std::string::npos;
  });
}

/// The relation that the words between two things say, of what stands before them to what follows;
/// "" for none.
std::string relation_in(const std::string& words) {
  std::string relation;
  std::size_t longest = 0;
  for (const std::string& each : World::relations()) {
    for (const std::string& said : relation_words(each)) {
      if (said.size() > longest && words.find(" " + said + " ") != std::string::npos) {
        relation = each;
        longest = said.size();
      }
    }
  }
  return relation;
}

/// How the first figure stands to the second: "next to" has the first on the left.
std::string as_arranged(const std::string& relation, bool first_named) {
  static const std::map<std::string, std::string> converse = {
      {"left of", "right of"},   {"right of", "left of"},  {"on", "under"},
      {"under", "on"},           {"above", "below"},       {"below", "above"},
      {"in front of", "behind"}, {"behind", "in front of"}};
  const std::string& arranged = relation == "next to" ? "left of" : relation;
  const auto found = converse.find(arranged);
  return first_named || found == converse.end() ? arranged : found->second;
}

/// The first sentence says how the scene's two figures stand, and no other one denies it.
bool says_position(const Scene& scene, const std::string& first, const std::string& caption) {
  const std::string one = scene.figures[0].thing, other = scene.figures[1].thing;
  const Span a = named_in(first, one), b = named_in(first, other);
  const std::size_t begin = std::min(a.end, b.end), end = std::max(a.begin, b.begin);
  if (end == std::string::npos || begin > end) {
    return false;
  }
  const std::string between = first.substr(begin, end - begin);
  const std::string arranged = as_arranged(scene.relation, true);
  const bool on_sides = arranged == "left of" || arranged == "right of";
  const Demands sides("the " + one + " to the " + arranged + " the " + other);
  return as_arranged(relation_in(between), a.begin < b.begin) == arranged &&
         (!on_sides || sides.judge(caption).contradictions.empty());
}

/// New scenes, or held out ones; none where the world holds nothing out.
std::vector<Scene> sampled(const World& world, bool held_out, int count, Random& random) {
  constexpr int most_tries = 1000;  // for a scene: of all, several in a hundred are held out
  std::vector<Scene> scenes;
  for (int tries = 0; std::ssize(scenes) < count && tries < most_tries * count; ++tries) {
    if (Scene scene = world.sample_with_held_out(random); world.held_out(scene) == held_out) {
      scenes.push_back(scene);
    }
  }
  return scenes;
}

/// A batch's pictures, captions and what they tell.
void look(const World& world, const Captioner& captioner, const std::vector<Scene>& scenes,
          bool held_out, const CaptionStudyOptions& options, const KeepPicture& keep,
          std::vector<JudgedCaption>& all) {
  std::vector<Image> pictures;
  for (const Scene& scene : scenes) {
    pictures.push_back(world.draw(scene, options.size));
  }
  const auto first = std::ssize(all);
  const auto captions = captioner.captions(pictures, {.seed = options.seed}, first);
  for (std::size_t i = 0; i < scenes.size(); ++i) {
    Random random({static_cast<std::uint64_t>(options.seed), captioned, all.size()});
    all.push_back({held_out, world.descriptive_caption(scenes[i], random), captions[i],
                   keep(static_cast<int>(all.size()), pictures[i]),
                   told_of(world, scenes[i], captions[i])});
  }
}

Share share(const std::vector<JudgedCaption>& scenes, const std::string& aspect, bool held_out) {
  int told = 0, asked = 0;
  for (const JudgedCaption& each : scenes) {
    if (const auto found = each.told.find(aspect);
        each.held_out == held_out && found != each.told.end()) {
      ++asked;
      told += found->second ? 1 : 0;
    }
  }
  return share_of(told, asked);
}

/// Rows of cells, the head first: an aspect, new scenes, held out ones.
std::vector<std::vector<std::string>> cells(const std::vector<JudgedCaption>& scenes) {
  std::vector<std::vector<std::string>> rows = {
      {"told of", "new scenes", "combinations that are held out"}};
  for (const std::string& aspect : caption_aspects()) {
    rows.push_back(
        {aspect, text_of(share(scenes, aspect, false)), text_of(share(scenes, aspect, true))});
  }
  if (std::ranges::none_of(scenes, &JudgedCaption::held_out)) {
    std::ranges::for_each(rows, [](auto& row) { row.pop_back(); });
  }
  return rows;
}

std::string missed(const JudgedCaption& scene) {
  std::string text;
  for (const auto& [aspect, told] : scene.told) {
    if (!told && aspect != "all of it") {
      text += (text.empty() ? "" : ", ") + aspect;
    }
  }
  return text;
}

}  // namespace

const std::vector<std::string>& caption_aspects() {
  static const std::vector<std::string> aspects = {
      "things", "colours", "numbers", "words on signs", "position",
      "place",  "weather", "style",   "nothing else",   "all of it"};
  return aspects;
}

std::map<std::string, bool> told_of(const World& world, const Scene& scene,
                                    const std::string& written) {
  const std::string caption = lower(written);  // CLIP's tokens have small letters only
  const std::string first = caption.substr(0, caption.find('.'));
  std::map<std::string, bool> told;
  for (const auto& [aspect, texts] : asked_of(scene)) {
    told[aspect] = std::ranges::all_of(texts, [&](const std::string& text) {
      return says(aspect == "things" ? first : caption, Demands(text));
    });
  }
  if (!std::ranges::all_of(scene.figures, &std::string::empty, &Figure::text)) {
    told["words on signs"] = says_words(scene, first);
  }
  if (scene.figures.size() == 2) {
    told["position"] = says_position(scene, first, caption);
  }
  told["nothing else"] = !names_another(world, scene, first);
  const bool all = std::ranges::all_of(told, [](const auto& each) { return each.second; });
  told["all of it"] = all;
  return told;
}

std::vector<JudgedCaption> captioned_scenes(const World& world, const Captioner& captioner,
                                            const CaptionStudyOptions& options,
                                            const KeepPicture& keep) {
  std::vector<JudgedCaption> all;
  Progress progress("captioning", "scenes", 2 * options.scenes);
  for (const bool held_out : {false, true}) {
    Random random({static_cast<std::uint64_t>(options.seed), captioned, held_out ? 1U : 0U});
    for (int done = 0; done < options.scenes; done += batch) {
      throw_if_interrupted();
      const int count = std::min(batch, options.scenes - done);
      const auto scenes = sampled(world, held_out, count, random);
      if (scenes.empty()) {
        return all;  // the world holds nothing out
      }
      look(world, captioner, scenes, held_out, options, keep, all);
      progress.advance(count);
    }
  }
  return all;
}

std::string captions_table(const std::vector<JudgedCaption>& scenes) {
  const auto rows = cells(scenes);
  std::string table;
  for (const auto& row : rows) {
    table += fmt::format("| {} |\n", fmt::join(row, " | "));
    if (&row == &rows.front()) {
      table += fmt::format("|{}\n", fmt::join(std::vector<std::string>(row.size(), "---|"), ""));
    }
  }
  return table;
}

std::string captions_html(const ReportHead& head, const std::vector<JudgedCaption>& scenes) {
  std::string table, pictures;
  for (const auto& row : cells(scenes)) {
    table += fmt::format("<tr><td>{}</td></tr>\n", fmt::join(row, "</td><td>"));
  }
  for (const JudgedCaption& each : scenes) {
    const std::string wrong = missed(each);
    pictures += fmt::format(
        "<figure><img src=\"{}\" alt=\"\" loading=\"lazy\"><figcaption>{}<i>{}</i>{}</figcaption>"
        "</figure>\n",
        escaped(each.picture), escaped(each.caption), escaped(each.truth),
        wrong.empty() ? "" : "<b>not told: " + wrong + "</b>");
  }
  const std::string about = fmt::format(
      "Model {}; {}. {} scenes that it was not trained on, none picked: the caption, below it the "
      "world's own description, and what of the scene the caption does not tell. Shares are of the "
      "scenes that have such a thing to tell, with their bounds at 95 %.",
      escaped(head.model), escaped(head.settings), scenes.size());
  return filled_page("captioned.html", {{"title", "scenes and their captions"},
                                        {"heading", "Scenes, and what the captioner tells of them"},
                                        {"about", about},
                                        {"table", table},
                                        {"pictures", pictures}});
}

}  // namespace longhand
