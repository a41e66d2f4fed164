// The page that an SDEdit study leaves to read.
#pragma once

#include <string>
#include <vector>

#include "eval/report.h"
#include "eval/sdedit_study.h"

namespace longhand {

/// `strips`: paths of pictures, each a scene with its strokes and edits, relative to the page.
std::string sdedit_html(const ReportHead& head, const SdeditStudyOptions& options,
                        const SdeditStudy& study, const std::vector<std::string>& strips);

/// The figures as lines of text, the best strength marked.
std::string sdedit_table(const SdeditStudy& study);

}  // namespace longhand
