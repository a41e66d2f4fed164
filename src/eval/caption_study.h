// How true a captioner is (Betker et al. 2023, section 2): its descriptive captions of scenes that
// it was not trained on, against what is known of these.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "eval/report.h"
#include "pipeline/captioner.h"
#include "world/world.h"

namespace longhand {

/// What is looked for, where a scene has it: "things", "colours" with their things, "numbers" with
/// theirs, "words on signs", "position" (how two stand to each other), "place", "weather", "style",
/// "nothing else" (the first sentence names no thing of the world that is not there), and "all of
/// it" of these. Weather and colours that are not there are not counted against a caption.
const std::vector<std::string>& caption_aspects();

/// By aspect, of those that the scene has: does the caption tell it, and nothing against it?
/// Inflection is allowed, as in text/fidelity.h.
std::map<std::string, bool> told_of(const World& world, const Scene& scene,
                                    const std::string& caption);

struct JudgedCaption {
  bool held_out;        // a combination that no training has shown; else only the scene is new
  std::string truth;    // the world's own description
  std::string caption;  // the captioner's
  std::string picture;  // a path relative to the page
  std::map<std::string, bool> told;
};

struct CaptionStudyOptions {
  int scenes = 100;  // of each: new scenes, and combinations that are held out
  int size = 128;    // of their pictures
  std::int64_t seed = 0;
};

/// New scenes first, then held out ones; none of the latter where the world holds nothing out.
std::vector<JudgedCaption> captioned_scenes(const World& world, const Captioner& captioner,
                                            const CaptionStudyOptions& options,
                                            const KeepPicture& keep);

/// Shares of scenes with their bounds as a table in Markdown, and a page of its own.
std::string captions_table(const std::vector<JudgedCaption>& scenes);
std::string captions_html(const ReportHead& head, const std::vector<JudgedCaption>& scenes);

}  // namespace longhand
