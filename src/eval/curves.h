// Evaluations of several painters while they were trained, as curves: how the captions that a
// painter learns from change what it follows (Betker et al. 2023, section 3.2 and figures 3 to 5).
#pragma once

#include <string>
#include <vector>

#include "core/files.h"
#include "eval/evaluation.h"
#include "eval/report.h"
#include "io/table.h"

namespace longhand {

/// What `longhand eval` left in a folder called NAME-PICTURES: of the painter NAME, after it was
/// trained on so many pictures.
struct PainterEvaluation {
  std::string painter;
  std::int64_t pictures;
  std::vector<ReportRow> rows;  // whose picture is FOLDER/images/…

  /// Throws invalid_argument for another name of a folder, not_found, corrupt.
  static PainterEvaluation read(const fs::path& folder);
};

/// The columns of the table that `longhand eval` writes.
const std::vector<Column>& evaluation_columns();
/// One of its rows as text, in that order.
ReportRow report_row(const std::vector<std::string>& row);
/// All rows of the folder that it wrote. Throws not_found; corrupt where a column is missing.
std::vector<ReportRow> read_evaluation(const fs::path& folder);

/// A page, to lie in `folder`, with a chart for each kind and for both measures, and the figures
/// and pictures where each painter's training ended.
std::string curves_html(const std::vector<PainterEvaluation>& evaluations, const fs::path& folder);
/// The figures as a table in Markdown: a painter a line, a kind a column.
std::string curves_table(const std::vector<PainterEvaluation>& evaluations);

}  // namespace longhand
