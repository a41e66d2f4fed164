#include "eval/drawings_study.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/interrupt.h"
#include "core/log.h"
#include "core/progress.h"
#include "io/markup.h"

namespace longhand {
namespace {

constexpr int size = 256;
constexpr int batch = 16;
constexpr std::array ranks_told = {1, 5, 10};

at::Tensor unit(const at::Tensor& embeds) {
  const at::Tensor x = embeds.to(at::kFloat);
  return x / x.norm(2, -1, true);
}

/// Captions and embeddings of what can be drawn, batch by batch.
std::vector<at::Tensor> look(const DiffusionModel& model, const Captioner& captioner,
                             const std::vector<Drawing>& drawings, const CaptionOptions& options,
                             const KeepPicture& keep, std::vector<JudgedDrawing>& judged) {
  std::vector<at::Tensor> embeds;
  Progress progress("captioning", "drawings", std::ssize(drawings));
  std::vector<Image> pictures;
  const auto take_batch = [&] {
    const auto first = std::ssize(judged) - std::ssize(pictures);
    const auto captions = captioner.captions(pictures, options, first);
    for (std::size_t i = 0; i < captions.size(); ++i) {
      judged[static_cast<std::size_t>(first) + i].caption = captions[i];
    }
    embeds.push_back(unit(model.image_embeds_of(pictures)));
    pictures.clear();
  };
  for (const Drawing& drawing : drawings) {
    throw_if_interrupted();
    progress.advance();
    try {
      pictures.push_back(drawn(drawing, size));
    } catch (const Error& error) {
      spdlog::warn("{}: {}", drawing.image.string(), error.what());
      continue;
    }
    const int number = static_cast<int>(judged.size());
    judged.push_back({drawing, "", keep(number, pictures.back()), 0});
    if (std::ssize(pictures) == batch) {
      take_batch();
    }
  }
  if (!pictures.empty()) {
    take_batch();
  }
  return embeds;
}

double share_within(const std::vector<JudgedDrawing>& drawings, int rank) {
  const auto within = std::ranges::count_if(
      drawings, [&](const JudgedDrawing& drawing) { return drawing.rank <= rank; });
  return static_cast<double>(within) /
         static_cast<double>(std::max<std::size_t>(1, drawings.size()));
}

}  // namespace

std::vector<JudgedDrawing> judged_drawings(const DiffusionModel& model, const Captioner& captioner,
                                           const std::vector<Drawing>& drawings,
                                           const CaptionOptions& options, const KeepPicture& keep) {
  const c10::InferenceMode inference;
  std::vector<JudgedDrawing> judged;
  const auto embeds = look(model, captioner, drawings, options, keep, judged);
  std::vector<std::string> titles;
  for (const JudgedDrawing& each : judged) {
    titles.push_back(each.drawing.title);
  }
  std::ranges::sort(titles);
  titles.erase(std::ranges::unique(titles).begin(), titles.end());
  if (titles.empty()) {
    fail(Kind::corrupt, "none of the drawings can be drawn");
  }
  const at::Tensor scores = at::cat(embeds).matmul(unit(model.text_embeds_of(titles)).t());
  for (std::size_t i = 0; i < judged.size(); ++i) {
    const auto own = std::ranges::lower_bound(titles, judged[i].drawing.title) - titles.begin();
    const at::Tensor row = scores[static_cast<std::int64_t>(i)];
    judged[i].rank = 1 + (row > row[own]).sum().item<int>();
  }
  return judged;
}

std::string drawings_table(const std::vector<JudgedDrawing>& drawings) {
  std::string text;
  for (const int rank : ranks_told) {
    text += fmt::format("own title among the {:2} nearest {:5.1f} %\n", rank,
                        100 * share_within(drawings, rank));
  }
  return text;
}

std::string drawings_html(const ReportHead& head, const std::vector<JudgedDrawing>& drawings) {
  std::string table = "<tr><td>A drawing's own title is</td><td></td></tr>\n", pictures;
  for (const int rank : ranks_told) {
    table += fmt::format("<tr><td>among the {} nearest</td><td>{:.1f} %</td></tr>\n", rank,
                         100 * share_within(drawings, rank));
  }
  for (const JudgedDrawing& each : drawings) {
    pictures += fmt::format(
        "<figure><img src=\"{}\" alt=\"\" loading=\"lazy\"><figcaption><b>{}</b>{} <i>title's rank "
        "{}</i></figcaption></figure>\n",
        escaped(each.picture), escaped(each.drawing.title), escaped(each.caption), each.rank);
  }
  const std::string about = fmt::format(
      "Model {}; {}. {} drawings that it was not trained on: in bold the human title, below it the "
      "caption, and at which place the model's CLIP finds the title among the titles of all. No "
      "truth is known of these pictures but what somebody wrote, which is often a name, a joke or "
      "a number.",
      escaped(head.model), escaped(head.settings), drawings.size());
  return filled_page("captioned.html",
                     {{"title", "drawings and their captions"},
                      {"heading", "Drawings, what people called them, and what the captioner sees"},
                      {"about", about},
                      {"table", table},
                      {"pictures", pictures}});
}

}  // namespace longhand
