// What a model's captioner and CLIP make of people's own drawings, of which no truth is known but
// what somebody wrote: the caption beside the human title, and how near CLIP finds the two.
#pragma once

#include <string>
#include <vector>

#include "eval/report.h"
#include "pipeline/captioner.h"
#include "pipeline/diffusion_model.h"
#include "world/drawings.h"

namespace longhand {

struct JudgedDrawing {
  Drawing drawing;
  std::string caption;
  std::string picture;  // a path relative to the page
  int rank;             // of its own title among all titles, by CLIP; 1 is the nearest
};

/// The drawings that can be drawn, each with its caption and rank. A title of several drawings is
/// each one's. The model embeds() pictures and texts.
std::vector<JudgedDrawing> judged_drawings(const DiffusionModel& model, const Captioner& captioner,
                                           const std::vector<Drawing>& drawings,
                                           const CaptionOptions& options, const KeepPicture& keep);

/// A page of its own, and its figures as lines of text.
std::string drawings_html(const ReportHead& head, const std::vector<JudgedDrawing>& drawings);
std::string drawings_table(const std::vector<JudgedDrawing>& drawings);

}  // namespace longhand
