#include "eval/sdedit_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "io/markup.h"

namespace longhand {
namespace {

constexpr double left = 50, top = 20, chart_width = 660, chart_height = 260;

double x_of(double strength) { return left + strength * chart_width; }

/// From its least value, or 0 if that is less, at the bottom to its highest at the top: of few
/// pictures the unbiased kernel distance may be below 0.
std::string line(const SdeditStudy& study, double SdeditPoint::* figure, const char* name) {
  const auto [least, most] = std::ranges::minmax_element(study.points, {}, figure);
  const double bottom = std::min(0.0, *least.*figure);
  const double range = std::max(1e-12, *most.*figure - bottom);
  std::string points;
  for (const SdeditPoint& point : study.points) {
    points += fmt::format("{:.1f},{:.1f} ", x_of(point.strength),
                          top + chart_height * (1 - (point.*figure - bottom) / range));
  }
  return fmt::format("<polyline class=\"{}\" points=\"{}\"/>\n", name, points);
}

std::string chart(const SdeditStudy& study) {
  std::string body = line(study, &SdeditPoint::realism_distance, "realism") +
                     line(study, &SdeditPoint::guide_distance, "guide");
  const double best = x_of(study.points[study.best()].strength);
  body +=
      fmt::format("<line class=\"best\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/>\n",
                  best, top, top + chart_height);
  for (const SdeditPoint& point : study.points) {
    body += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{:.1f}</text>\n",
                        x_of(point.strength), top + chart_height + 18, point.strength);
  }
  body += fmt::format(
      "<text x=\"{0}\" y=\"14\" style=\"fill:var(--realism)\">distance from real scenes</text>"
      "<text x=\"{1}\" y=\"14\" style=\"fill:var(--guide)\">distance from the guide</text>\n",
      left, left + 220);
  return fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\">\n{}</svg>\n",
                     left + chart_width + 20, top + chart_height + 26, body);
}

std::string guide_text(const SdeditStudyOptions& options) {
  return options.guide == SdeditGuide::strokes
             ? fmt::format(
                   "Strokes of scenes ({} colours) are noised to t0 and denoised from there",
                   options.colours)
             : "A thing of another style is pasted into each scene; it and what lies around it are "
               "noised "
               "to "
               "t0 and denoised from there, the rest kept";
}

std::string row(const SdeditPoint& point, bool best) {
  return fmt::format("<tr{}><td>{:.1f}</td><td>{:.5f}</td><td>{:.4f}</td></tr>\n",
                     best ? " class=\"best\"" : "", point.strength, point.realism_distance,
                     point.guide_distance);
}

std::string table(const SdeditStudy& study) {
  std::string html =
      "<table>\n<tr><th>t0</th><th>from real scenes</th><th>from the guide</th></tr>\n" +
      row(study.guide, false);
  for (std::size_t i = 0; i < study.points.size(); ++i) {
    html += row(study.points[i], i == study.best());
  }
  return html + "</table>\n";
}

}  // namespace

std::string sdedit_html(const ReportHead& head, const SdeditStudyOptions& options,
                        const SdeditStudy& study, const std::vector<std::string>& strips) {
  std::string pictures;
  for (const std::string& strip : strips) {
    pictures +=
        fmt::format("<img class=\"strip\" src=\"{}\" alt=\"\" loading=\"lazy\">\n", escaped(strip));
  }
  return filled_page("sdedit.html", {{"model", escaped(head.model)},
                                     {"settings", escaped(head.settings)},
                                     {"guide", guide_text(options)},
                                     {"chart", chart(study)},
                                     {"table", table(study)},
                                     {"pictures", pictures}});
}

std::string sdedit_table(const SdeditStudy& study) {
  std::string text = fmt::format("{:>4}{:>20}{:>20}\n", "t0", "from real scenes", "from the guide");
  const auto add = [&](const SdeditPoint& point, const char* mark) {
    text += fmt::format("{:4.1f}{:20.5f}{:20.4f}{}\n", point.strength, point.realism_distance,
                        point.guide_distance, mark);
  };
  add(study.guide, "  the guides themselves");
  for (std::size_t i = 0; i < study.points.size(); ++i) {
    add(study.points[i], i == study.best() ? "  best" : "");
  }
  return text;
}

}  // namespace longhand
