// What an evaluation leaves to read: report.html, with a chart, the figures and pictures of each
// task, and what the detector mixes up.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "eval/evaluation.h"
#include "io/image.h"

namespace longhand {

/// Takes a picture as it was seen and returns where the page finds it.
using KeepPicture = std::function<std::string(int number, const Image& picture)>;

struct ReportRow {
  std::string task, kind;  // of eval/evaluation.h
  std::string prompt, caption;
  std::string picture;  // a path relative to the page
  bool follows = false;
  std::string seen;
  std::optional<double> clip_score = {};
  std::int64_t seed = 0;
};

struct ReportHead {
  std::string model, settings;
};

/// Of a task, or of all tasks together where it is "".
Share share_followed(const std::vector<ReportRow>& rows, const std::string& kind,
                     const std::string& task = "");

/// The mean CLIP score of a kind's rows; not set where they have none.
std::optional<double> mean_clip_score(const std::vector<ReportRow>& rows, const std::string& kind);

/// A page of its own.
std::string report_html(const ReportHead& head, const std::vector<ReportRow>& rows);

/// The figures as lines of text: a task a line, a kind a column.
std::string report_table(const std::vector<ReportRow>& rows);

}  // namespace longhand
