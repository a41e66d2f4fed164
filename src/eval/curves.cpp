#include "eval/curves.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>

#include "core/error.h"
#include "io/markup.h"

namespace longhand {
namespace {

constexpr double left = 44, top = 26, chart_width = 420, chart_height = 220;

/// A measure of an evaluation's kind, in per cent or points, with its bounds where it has some.
struct Measured {
  double value, low, high;
};
using Measure =
    std::function<std::optional<Measured>(const std::vector<ReportRow>&, const std::string& kind)>;

std::optional<Measured> followed(const std::vector<ReportRow>& rows, const std::string& kind) {
  if (std::ranges::find(rows, kind, &ReportRow::kind) == rows.end()) {
    return std::nullopt;
  }
  const Share share = share_followed(rows, kind);
  return Measured{100 * share.share, 100 * share.low, 100 * share.high};
}

std::optional<Measured> clip_score(const std::vector<ReportRow>& rows, const std::string& kind) {
  const auto mean = mean_clip_score(rows, kind);
  return mean ? std::optional(Measured{*mean, *mean, *mean}) : std::nullopt;
}

std::vector<std::string> painters_of(const std::vector<PainterEvaluation>& evaluations) {
  std::vector<std::string> painters;
  for (const PainterEvaluation& evaluation : evaluations) {
    if (std::ranges::find(painters, evaluation.painter) == painters.end()) {
      painters.push_back(evaluation.painter);
    }
  }
  return painters;
}

/// The painted kinds, in their usual order; truth tells of the detector alone.
std::vector<std::string> kinds_of(const std::vector<PainterEvaluation>& evaluations) {
  std::vector<std::string> kinds;
  for (const std::string& kind : trial_kinds()) {
    const bool there = std::ranges::any_of(evaluations, [&](const PainterEvaluation& evaluation) {
      return std::ranges::find(evaluation.rows, kind, &ReportRow::kind) != evaluation.rows.end();
    });
    if (there && kind != "truth") {
      kinds.push_back(kind);
    }
  }
  return kinds;
}

/// A painter's evaluations, in the order of its training.
std::vector<const PainterEvaluation*> of_painter(const std::vector<PainterEvaluation>& evaluations,
                                                 const std::string& painter) {
  std::vector<const PainterEvaluation*> own;
  for (const PainterEvaluation& evaluation : evaluations) {
    if (evaluation.painter == painter) {
      own.push_back(&evaluation);
    }
  }
  std::ranges::sort(own, {}, &PainterEvaluation::pictures);
  return own;
}

struct Axes {
  double most_pictures, most_value;
  double x(std::int64_t pictures) const {
    return left + static_cast<double>(pictures) / most_pictures * chart_width;
  }
  double y(double value) const { return top + chart_height * (1 - value / most_value); }
};

std::string grid(const Axes& axes) {
  std::string svg;
  for (int i = 0; i <= 4; ++i) {
    const double value = axes.most_value * i / 4;
    svg += fmt::format(
        "<line class=\"grid\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/><text x=\"{3}\" "
        "y=\"{4:.1f}\" text-anchor=\"end\">{5:.0f}</text>\n",
        left, left + chart_width, axes.y(value), left - 6, axes.y(value) + 4, value);
    const double pictures = axes.most_pictures * i / 4;
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{:.0f} k</text>\n",
                       left + chart_width * i / 4, top + chart_height + 18, pictures / 1000);
  }
  return svg;
}

std::string line(const std::vector<const PainterEvaluation*>& own, const std::string& kind,
                 const Measure& measure, const Axes& axes, std::size_t colour) {
  std::string points, marks;
  for (const PainterEvaluation* evaluation : own) {
    const auto found = measure(evaluation->rows, kind);
    if (!found) {
      continue;
    }
    const double x = axes.x(evaluation->pictures);
    points += fmt::format("{:.1f},{:.1f} ", x, axes.y(found->value));
    marks += fmt::format(
        "<line class=\"c{0}\" x1=\"{1:.1f}\" x2=\"{1:.1f}\" y1=\"{2:.1f}\" y2=\"{3:.1f}\"/><circle "
        "class=\"c{0}\" cx=\"{1:.1f}\" cy=\"{4:.1f}\" r=\"3\"><title>{5}: "
        "{6:.1f}</title></circle>\n",
        colour, x, axes.y(found->low), axes.y(found->high), axes.y(found->value),
        escaped(evaluation->painter), found->value);
  }
  return fmt::format("<polyline class=\"c{}\" points=\"{}\"/>\n{}", colour, points, marks);
}

std::string chart(const std::vector<PainterEvaluation>& evaluations, const std::string& kind,
                  const Measure& measure, const std::string& title) {
  Axes axes{1, 1};
  for (const PainterEvaluation& evaluation : evaluations) {
    axes.most_pictures = std::max(axes.most_pictures, static_cast<double>(evaluation.pictures));
    if (const auto found = measure(evaluation.rows, kind)) {
      axes.most_value = std::max(axes.most_value, found->high);
    }
  }
  axes.most_value = std::min(100.0, 10 * std::ceil(axes.most_value / 10));
  std::string svg = fmt::format("<text x=\"{}\" y=\"14\">{}: {}</text>\n", left, kind, title);
  svg += grid(axes);
  const auto painters = painters_of(evaluations);
  for (std::size_t i = 0; i < painters.size(); ++i) {
    svg += line(of_painter(evaluations, painters[i]), kind, measure, axes, i);
  }
  return fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\">\n{}</svg>\n",
                     left + chart_width + 16, top + chart_height + 26, svg);
}

std::string charts(const std::vector<PainterEvaluation>& evaluations) {
  std::string html;
  for (const std::string& kind : kinds_of(evaluations)) {
    html += "<div class=\"pair\">\n" + chart(evaluations, kind, followed, "prompts followed, %") +
            chart(evaluations, kind, clip_score, "CLIP score") + "</div>\n";
  }
  return html;
}

std::string legend(const std::vector<PainterEvaluation>& evaluations) {
  std::string html;
  const auto painters = painters_of(evaluations);
  for (std::size_t i = 0; i < painters.size(); ++i) {
    html += fmt::format("<span><i class=\"c{}\"></i>{}</span>\n", i, escaped(painters[i]));
  }
  return html;
}

/// "61.2 % (57–65), 28.1" where a painter's training ended.
std::string figures(const PainterEvaluation& last, const std::string& kind) {
  const auto clip = clip_score(last.rows, kind);
  return text_of(share_followed(last.rows, kind)) +
         (clip ? fmt::format(", {:.1f}", clip->value) : "");
}

std::string html_table(const std::vector<PainterEvaluation>& evaluations) {
  std::string html = "<table>\n<tr><th>painter</th><th>pictures</th>";
  for (const std::string& kind : kinds_of(evaluations)) {
    html += "<th>" + kind + "</th>";
  }
  html += "</tr>\n";
  for (const std::string& painter : painters_of(evaluations)) {
    const PainterEvaluation& last = *of_painter(evaluations, painter).back();
    html += fmt::format("<tr><td>{}</td><td>{}</td>", escaped(painter), last.pictures);
    for (const std::string& kind : kinds_of(evaluations)) {
      html += "<td>" + figures(last, kind) + "</td>";
    }
    html += "</tr>\n";
  }
  return html + "</table>\n";
}

/// The first prompt of each task in a kind.
std::vector<const ReportRow*> first_of_tasks(const std::vector<ReportRow>& rows,
                                             const std::string& kind) {
  std::vector<const ReportRow*> first;
  for (const ReportRow& row : rows) {
    const bool known =
        std::ranges::any_of(first, [&](const ReportRow* other) { return other->task == row.task; });
    if (row.kind == kind && !known) {
      first.push_back(&row);
    }
  }
  return first;
}

/// What a painter made of the same prompt; null: it was not given it.
const ReportRow* same_prompt(const std::vector<ReportRow>& rows, const ReportRow& wanted) {
  const auto found = std::ranges::find_if(rows, [&](const ReportRow& row) {
    return row.kind == wanted.kind && row.task == wanted.task && row.prompt == wanted.prompt;
  });
  return found == rows.end() ? nullptr : &*found;
}

/// Each painter's pictures of the first prompt of each task, where its training ended.
std::string pictures(const std::vector<PainterEvaluation>& evaluations, const std::string& kind,
                     const fs::path& folder) {
  const auto painters = painters_of(evaluations);
  const auto first = first_of_tasks(of_painter(evaluations, painters.front()).back()->rows, kind);
  std::string html = fmt::format("<h2>{}</h2>\n<table class=\"pictures\">\n<tr><th></th>", kind);
  for (const ReportRow* row : first) {
    html += fmt::format("<th title=\"{}\">{}</th>", escaped(row->caption), escaped(row->prompt));
  }
  for (const std::string& painter : painters) {
    html += fmt::format("</tr>\n<tr><td>{}</td>", escaped(painter));
    for (const ReportRow* wanted : first) {
      const auto* row = same_prompt(of_painter(evaluations, painter).back()->rows, *wanted);
      const fs::path picture =
          row ? fs::proximate(fs::absolute(row->picture), fs::absolute(folder)) : fs::path();
      html += row ? fmt::format("<td><img src=\"{}\" alt=\"\" class=\"{}\"></td>",
                                escaped(picture.string()), row->follows ? "follows" : "fails")
                  : "<td></td>";
    }
  }
  return html + "</tr>\n</table>\n";
}

std::string all_pictures(const std::vector<PainterEvaluation>& evaluations,
                         const fs::path& folder) {
  std::string html;
  for (const std::string& kind : kinds_of(evaluations)) {
    html += pictures(evaluations, kind, folder);
  }
  return html;
}

}  // namespace

const std::vector<Column>& evaluation_columns() {
  using enum Column::Type;
  static const std::vector<Column> columns = {
      {"Task", text},       {"Kind", text},     {"Prompt", text},      {"Caption", text},
      {"Image", image},     {"Follows", whole}, {"Seen", text},        {"seed", whole},
      {"model_name", text}, {"Settings", text}, {"CLIP score", number}};
  return columns;
}

std::vector<ReportRow> read_evaluation(const fs::path& folder) {
  const auto reader = RowReader::open(folder);
  std::vector<std::size_t> places;
  for (const Column& column : evaluation_columns()) {
    const auto found = std::ranges::find(reader->columns(), column.name);
    if (found == reader->columns().end()) {
      fail(Kind::corrupt, "{}: has no column {}; expected a folder that longhand eval wrote",
           folder.string(), column.name);
    }
    places.push_back(static_cast<std::size_t>(found - reader->columns().begin()));
  }
  std::vector<ReportRow> rows;
  while (const auto row = reader->next()) {
    std::vector<std::string> cells;
    for (const std::size_t place : places) {
      cells.push_back(row->at(place));
    }
    rows.push_back(report_row(cells));
  }
  return rows;
}

ReportRow report_row(const std::vector<std::string>& row) {
  ReportRow read{row.at(0), row.at(1),        row.at(2), row.at(3),
                 row.at(4), row.at(5) == "1", row.at(6)};
  const std::string &seed = row.at(7), &score = row.back();
  std::from_chars(seed.data(), seed.data() + seed.size(), read.seed);
  double number = 0;
  if (std::from_chars(score.data(), score.data() + score.size(), number).ec == std::errc()) {
    read.clip_score = number;
  }
  return read;
}

PainterEvaluation PainterEvaluation::read(const fs::path& folder) {
  const std::string name = fs::weakly_canonical(folder).filename();
  const auto dash = name.rfind('-');
  PainterEvaluation evaluation{name.substr(0, dash), 0, {}};
  const char* end = name.data() + name.size();
  if (dash == std::string::npos || dash == 0 ||
      std::from_chars(name.data() + dash + 1, end, evaluation.pictures).ptr != end) {
    fail(Kind::invalid_argument,
         "{}: expected a folder called PAINTER-PICTURES, as alt-64000: whose evaluation it is, and "
         "on how many pictures that painter had been trained",
         folder.string());
  }
  evaluation.rows = read_evaluation(folder);
  for (ReportRow& row : evaluation.rows) {
    row.picture = folder / row.picture;
  }
  return evaluation;
}

std::string curves_html(const std::vector<PainterEvaluation>& evaluations, const fs::path& folder) {
  return filled_page("curves.html", {{"legend", legend(evaluations)},
                                     {"charts", charts(evaluations)},
                                     {"table", html_table(evaluations)},
                                     {"pictures", all_pictures(evaluations, folder)}});
}

std::string curves_table(const std::vector<PainterEvaluation>& evaluations) {
  std::string head = "| painter | pictures |", rule = "|---|---|", body;
  const auto kinds = kinds_of(evaluations);
  for (const std::string& kind : kinds) {
    head += " " + kind + " |";
    rule += "---|";
  }
  for (const std::string& painter : painters_of(evaluations)) {
    const PainterEvaluation& last = *of_painter(evaluations, painter).back();
    body += fmt::format("| {} | {} |", painter, last.pictures);
    for (const std::string& kind : kinds) {
      body += " " + figures(last, kind) + " |";
    }
    body += "\n";
  }
  return head + "\n" + rule + "\n" + body;
}

}  // namespace longhand
