#include "eval/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "eval/evaluation.h"
#include "io/markup.h"

namespace longhand {
namespace {

constexpr int pictures_a_task = 8;  // of each kind: the first ones, unpicked
constexpr int bar_height = 14, bar_gap = 3, group_gap = 14, label_width = 150, chart_width = 560;

bool is_of(const ReportRow& row, const std::string& task, const std::string& kind) {
  return row.kind == kind && (task.empty() || row.task == task);
}

template <class Get>
std::vector<std::string> present(const std::vector<std::string>& names,
                                 const std::vector<ReportRow>& rows, Get get) {
  std::vector<std::string> there;
  std::ranges::copy_if(names, std::back_inserter(there), [&](const std::string& name) {
    return std::ranges::find(rows, name, get) != rows.end();
  });
  return there;
}

std::vector<std::string> kinds_of(const std::vector<ReportRow>& rows) {
  return present(trial_kinds(), rows, &ReportRow::kind);
}

/// The tasks, and "" for all together.
std::vector<std::string> groups_of(const std::vector<ReportRow>& rows) {
  std::vector<std::string> groups = present(task_names(), rows, &ReportRow::task);
  groups.emplace_back();
  return groups;
}

std::string title(const std::string& task) { return task.empty() ? "all tasks" : task; }

/// Of a task, or of all: a small world holds out few combinations, so that prompts come again.
std::size_t different_prompts(const std::vector<ReportRow>& rows, const std::string& task) {
  std::set<std::string> prompts;
  for (const ReportRow& row : rows) {
    if (task.empty() || row.task == task) {
      prompts.insert(row.prompt);
    }
  }
  return prompts.size();
}

/// A bar with its 95 % bounds.
std::string bar(const Share& share, const std::string& kind, std::size_t colour, int y) {
  const auto x = [](double value) { return label_width + value * chart_width; };
  return fmt::format(
      "<rect class=\"k{}\" x=\"{}\" y=\"{}\" width=\"{:.1f}\" height=\"{}\"><title>{}: {:.1f} % "
      "({:.1f}–{:.1f})</title></rect><line x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{}\" y2=\"{}\"/>\n",
      colour, label_width, y, share.share * chart_width, bar_height, kind, 100 * share.share,
      100 * share.low, 100 * share.high, x(share.low), x(share.high), y + bar_height / 2,
      y + bar_height / 2);
}

std::string chart(const std::vector<ReportRow>& rows) {
  const auto kinds = kinds_of(rows);
  std::string body;
  int y = 0;
  for (const std::string& task : groups_of(rows)) {
    const int middle =
        y + static_cast<int>(kinds.size()) * (bar_height + bar_gap) / 2 + bar_height / 4;
    body +=
        fmt::format("<text x=\"{}\" y=\"{}\">{}</text>\n", label_width - 10, middle, title(task));
    for (std::size_t i = 0; i < kinds.size(); ++i, y += bar_height + bar_gap) {
      body += bar(share_followed(rows, kinds[i], task), kinds[i], i, y);
    }
    y += group_gap;
  }
  return fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\">\n{}</svg>\n",
                     label_width + chart_width + 10, y, body);
}

/// A last row, where pictures have CLIP scores.
std::string clip_row(const std::vector<ReportRow>& rows) {
  std::string html;
  bool any = false;
  for (const std::string& kind : kinds_of(rows)) {
    const auto mean = mean_clip_score(rows, kind);
    any = any || mean;
    html += mean ? fmt::format("<td>{:.1f}</td>", *mean) : "<td></td>";
  }
  return any ? "<tr><td>CLIP score</td>" + html + "</tr>\n" : "";
}

std::string table(const std::vector<ReportRow>& rows) {
  const auto kinds = kinds_of(rows);
  std::string html = "<table>\n<tr><th></th>";
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    html += fmt::format("<th><i class=\"k{}\"></i>{}</th>", i, kinds[i]);
  }
  html += "</tr>\n";
  for (const std::string& task : groups_of(rows)) {
    html += fmt::format("<tr><td>{} <small>{} different prompts</small></td>", title(task),
                        different_prompts(rows, task));
    for (const std::string& kind : kinds) {
      html += "<td>" + text_of(share_followed(rows, kind, task)) + "</td>";
    }
    html += "</tr>\n";
  }
  return html + clip_row(rows) + "</table>\n";
}

std::string figure(const ReportRow& row) {
  return fmt::format(
      "<figure class=\"{}\"><img src=\"{}\" alt=\"{}\" loading=\"lazy\"><figcaption>{}<br>"
      "<small>seen: {}</small></figcaption></figure>\n",
      row.follows ? "yes" : "no", escaped(row.picture), escaped(row.prompt), escaped(row.caption),
      escaped(row.seen));
}

std::string pictures(const std::vector<ReportRow>& rows) {
  std::string html;
  for (const std::string& task : present(task_names(), rows, &ReportRow::task)) {
    html += "<h2>" + task + "</h2>\n";
    for (const std::string& kind : kinds_of(rows)) {
      html += fmt::format("<h3>{}</h3>\n<div class=\"row\">\n", kind);
      int shown = 0;
      for (const ReportRow& row : rows) {
        if (is_of(row, task, kind) && shown++ < pictures_a_task) {
          html += figure(row);
        }
      }
      html += "</div>\n";
    }
  }
  return html;
}

/// What the detector made of scenes that it did not read rightly.
std::string mistakes(const std::vector<ReportRow>& rows) {
  std::string html;
  for (const ReportRow& row : rows) {
    if (row.kind == "truth" && !row.follows) {
      html += fmt::format("<li>{}: {} <small>read as {}</small></li>\n", row.task,
                          escaped(row.prompt), escaped(row.seen));
    }
  }
  return html.empty() ? "<li>none</li>\n" : html;
}

}  // namespace

Share share_followed(const std::vector<ReportRow>& rows, const std::string& kind,
                     const std::string& task) {
  int right = 0, all = 0;
  for (const ReportRow& row : rows) {
    if (is_of(row, task, kind)) {
      ++all;
      right += row.follows ? 1 : 0;
    }
  }
  return share_of(right, all);
}

std::optional<double> mean_clip_score(const std::vector<ReportRow>& rows, const std::string& kind) {
  double sum = 0;
  int count = 0;
  for (const ReportRow& row : rows) {
    if (row.kind == kind && row.clip_score) {
      sum += *row.clip_score;
      ++count;
    }
  }
  return count == 0 ? std::nullopt : std::optional(sum / count);
}

std::string report_html(const ReportHead& head, const std::vector<ReportRow>& rows) {
  return filled_page("report.html", {{"model", escaped(head.model)},
                                     {"settings", escaped(head.settings)},
                                     {"chart", chart(rows)},
                                     {"table", table(rows)},
                                     {"mistakes", mistakes(rows)},
                                     {"pictures", pictures(rows)}});
}

std::string report_table(const std::vector<ReportRow>& rows) {
  const auto kinds = kinds_of(rows);
  std::string text = fmt::format("{:20}", "");
  for (const std::string& kind : kinds) {
    text += fmt::format("{:>22}", kind);
  }
  for (const std::string& task : groups_of(rows)) {
    text += fmt::format("\n{:20}", title(task));
    for (const std::string& kind : kinds) {
      text += fmt::format("{:>22}", text_of(share_followed(rows, kind, task)));
    }
  }
  text += "\n" + std::string(clip_row(rows).empty() ? "" : fmt::format("{:20}", "CLIP score"));
  for (const std::string& kind : kinds) {
    const auto mean = mean_clip_score(rows, kind);
    text += mean ? fmt::format("{:>22.1f}", *mean) : std::string();
  }
  return text + (text.ends_with('\n') ? "" : "\n");
}

}  // namespace longhand
