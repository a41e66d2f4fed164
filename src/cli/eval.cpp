// longhand eval: how well a model follows prompts, with known truth.
#include <fmt/ranges.h>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/painting.h"
#include "core/interrupt.h"
#include "core/progress.h"
#include "eval/caption_study.h"
#include "eval/curves.h"
#include "eval/drawings_study.h"
#include "eval/evaluation.h"
#include "eval/report.h"
#include "eval/sdedit_report.h"
#include "eval/variation_study.h"
#include "io/hub_catalogue.h"
#include "io/table.h"
#include "nn/pictures.h"
#include "pipeline/language_models.h"
#include "pipeline/picture_record.h"
#include "pipeline/vary.h"

namespace longhand {
namespace {

constexpr const char* examples = R"(Examples:
  longhand eval --out eval                                  # all tasks, 100 prompts each
  longhand eval --out quick --limit 8 --kind truth --kind short
  longhand eval --out colours --task colours --task "colour attribution"
  longhand eval --study sdedit --out sdedit                 # realism against faithfulness over t0
  longhand eval --study compositing --out pasted            # the same for things pasted into scenes
  longhand eval --study variations --guidance 2 --out varied   # what vary keeps, over ddim's eta
  longhand eval --study captions --limit 200 --out captions # what the captioner tells of scenes
  longhand eval --study drawings --drawings runs/out/openclipart/drawings.jsonl --out drawings
  longhand eval --study curves alt-64000 alt-128000 mix-64000 mix-128000 --out curves
OUT then holds report.html, images/, data/*.parquet and rows.jsonl, and stopped at any moment, the same command goes on. The
studies begin anew where they are stopped, and leave sdedit.html (sdedit and compositing), captions.html or drawings.html
with images/; variations.md and variations.png; curves.html and curves.md, of what evaluations of painters left in folders called PAINTER-PICTURES.)";

struct Arguments {
  PaintRequest request;
  std::vector<std::string> tasks = task_names();
  std::vector<std::string> kinds = {"truth", "short", "lengthened", "described"};
  std::string study = "prompts";
  std::string out, detector, captions_of, drawings;
  std::vector<std::string> evaluations;
  int limit = 100;
  int batch = 16;
  bool overwrite = false;
};

std::vector<Trial> trials_of(const Arguments& arguments, const World& world, std::int64_t seed) {
  std::vector<std::vector<TestPrompt>> prompts;
  for (const std::string& task : arguments.tasks) {
    prompts.push_back(test_prompts(world, task, arguments.limit, static_cast<std::uint64_t>(seed)));
  }
  std::vector<Trial> trials;
  for (const std::string& kind : arguments.kinds) {
    for (const auto& of_task : prompts) {
      for (std::size_t i = 0; i < of_task.size(); ++i) {
        trials.push_back({of_task[i], kind, seed + static_cast<std::int64_t>(i)});
      }
    }
  }
  return trials;
}

/// The folder that is written: its table, and what the report shows.
class Results {
 public:
  Results(const Arguments& arguments, ReportHead head)
      : folder_(arguments.out),
        head_(std::move(head)),
        writer_(folder_, evaluation_columns(), {.overwrite = arguments.overwrite, .card = card()}) {
    const auto before = writer_.existing();
    while (const auto row = before->next()) {
      rows_.push_back(report_row(*row));
    }
  }

  std::int64_t done() const { return std::ssize(rows_); }

  void check_resumed(const std::vector<Trial>& trials) const {
    writer_.check_existing("model, tasks, kinds, limit, seed or settings",
                           [&](std::int64_t i, const std::vector<std::string>& row) {
                             if (i >= std::ssize(trials)) {
                               return false;
                             }
                             const Trial& trial = trials[static_cast<std::size_t>(i)];
                             return row[0] == trial.prompt.task && row[1] == trial.kind &&
                                    row[2] == trial.prompt.prompt &&
                                    row[7] == std::to_string(trial.seed) && row[8] == head_.model &&
                                    row[9] == head_.settings;
                           });
  }

  void add(const Judged& judged) {
    const std::string picture = fmt::format("images/{:05}.png", done());
    write_file_atomically(folder_ / picture, encode_png(judged.picture));
    const TestPrompt& prompt = judged.trial.prompt;
    writer_.append({prompt.task, judged.trial.kind, prompt.prompt, judged.caption, picture,
                    std::int64_t{judged.verdict.follows}, judged.verdict.seen, judged.trial.seed,
                    head_.model, head_.settings,
                    judged.clip_score ? Cell(*judged.clip_score) : Cell()});
    rows_.push_back({prompt.task, judged.trial.kind, prompt.prompt, judged.caption, picture,
                     judged.verdict.follows, judged.verdict.seen, judged.clip_score,
                     judged.trial.seed});
  }

  void finish() {
    writer_.finish();
    write_file_atomically(folder_ / "report.html", report_html(head_, rows_));
    fmt::print("{}{}\n", report_table(rows_), (fs::absolute(folder_) / "report.html").string());
  }

 private:
  std::string card() const {
    return fmt::format(
        "# Are prompts followed?\n\nPictures by {} ({}), each with the prompt, the caption that it "
        "was painted from, and whether a detector finds in it what the prompt names. Made by "
        "Longhand; report.html has the figures.\n",
        head_.model, head_.settings);
  }

  fs::path folder_;
  ReportHead head_;
  RowWriter writer_;
  std::vector<ReportRow> rows_;
};

/// Trials from the first one on that are of its kind, at most `most`.
std::vector<Trial> next_batch(const std::vector<Trial>& trials, std::int64_t first, int most) {
  std::vector<Trial> batch;
  for (auto i = static_cast<std::size_t>(first);
       i < trials.size() && std::ssize(batch) < most &&
       trials[i].kind == trials[static_cast<std::size_t>(first)].kind;
       ++i) {
    batch.push_back(trials[i]);
  }
  return batch;
}

int run_sdedit(const Arguments& arguments) {
  constexpr int strips_shown = 16;
  PaintRequest request = arguments.request;
  request.seed = request.seed.value_or(0);
  const Painter painter = load_painter(request);
  resolve(request, ModelDefaults::of(resolve_model(request.model)), painter);
  require_text(painter, request);
  const World world;
  const SdeditStudyOptions options{
      .guide = arguments.study == "sdedit" ? SdeditGuide::strokes : SdeditGuide::paste,
      .scenes = arguments.limit,
      .seed = request.seed.value()};
  const fs::path folder = arguments.out;
  claim_folder(folder / "study.json",
               nlohmann::json{{"study", arguments.study}, {"seed", options.seed}}.dump());
  Progress progress("editing", "scenes", options.scenes);
  std::vector<std::string> strips;
  const SdeditStudy study =
      sdedit_study(world, painter, painting_of(request), options,
                   [&](int scene, const std::vector<Image>& pictures) {
                     throw_if_interrupted();
                     if (scene < strips_shown) {
                       strips.push_back(fmt::format("images/{:03}.png", scene));
                       write_file_atomically(
                           folder / strips.back(),
                           encode_png(contact_sheet(pictures, static_cast<int>(pictures.size()))));
                     }
                     progress.advance();
                   });
  const ReportHead head{request.model, painting_text(request)};
  write_file_atomically(folder / "sdedit.html", sdedit_html(head, options, study, strips));
  fmt::print("{}{}\n", sdedit_table(study), (fs::absolute(folder) / "sdedit.html").string());
  return 0;
}

SceneJudge judge_of(const Arguments& arguments) {
  return {
      arguments.detector.empty() ? home() / "models" / "detector" : fs::path(arguments.detector),
      arguments.request.dtype};
}

int run_variations(const Arguments& arguments) {
  constexpr int scenes_shown = 12;
  const SceneJudge judge = judge_of(arguments);
  PaintRequest request = arguments.request;
  request.seed = request.seed.value_or(0);
  require_own_noise(request);
  const Painter painter = load_painter(request);
  resolve(request, ModelDefaults::of(resolve_model(request.model)), painter);
  const VariationStudyOptions options{.scenes = arguments.limit, .seed = request.seed.value()};
  const fs::path folder = arguments.out;
  claim_folder(folder / "study.json",
               nlohmann::json{{"study", arguments.study}, {"seed", options.seed}}.dump());
  Progress progress("varying", "scenes", options.scenes);
  std::vector<Image> shown;
  int columns = 0;
  const auto points =
      variation_study(judge, painter, painting_of(request), options,
                      [&](int scene, const std::vector<Image>& pictures) {
                        throw_if_interrupted();
                        columns = static_cast<int>(pictures.size());
                        if (scene < scenes_shown) {
                          shown.insert(shown.end(), pictures.begin(), pictures.end());
                        }
                        progress.advance();
                      });
  const std::string table = variation_table(points);
  write_file_atomically(folder / "variations.png", encode_png(contact_sheet(shown, columns)));
  write_file_atomically(folder / "variations.md",
                        fmt::format("{}: {}\n\n{}", request.model, painting_text(request), table));
  fmt::print("{}{}\n", table, (fs::absolute(folder) / "variations.png").string());
  return 0;
}

/// Writes pictures into a folder, for the page that lies there.
KeepPicture keeping_in(const fs::path& folder) {
  return [folder](int number, const Image& picture) {
    std::string path = fmt::format("images/{:04}.png", number);
    write_file_atomically(folder / path, encode_png(picture));
    return path;
  };
}

int run_captions(const Arguments& arguments) {
  const World world;
  const Captioner captioner(resolve_model(arguments.request.model), arguments.request.dtype);
  const CaptionStudyOptions options{.scenes = arguments.limit,
                                    .seed = arguments.request.seed.value_or(0)};
  const fs::path folder = arguments.out;
  claim_folder(folder / "study.json",
               nlohmann::json{{"study", arguments.study}, {"seed", options.seed}}.dump());
  const auto scenes = captioned_scenes(world, captioner, options, keeping_in(folder));
  const ReportHead head{arguments.request.model, "descriptive captions"};
  const std::string table = captions_table(scenes);
  write_file_atomically(folder / "captions.html", captions_html(head, scenes));
  write_file_atomically(folder / "captions.md", fmt::format("{}\n\n{}", head.model, table));
  fmt::print("{}{}\n", table, (fs::absolute(folder) / "captions.html").string());
  return 0;
}

/// Those of a table that are never trained on.
std::vector<Drawing> held_back_drawings(const Arguments& arguments) {
  if (arguments.drawings.empty()) {
    fail(Kind::invalid_argument,
         "--study drawings needs --drawings, a table as runs/openclipart/table.py writes it");
  }
  const auto all = read_drawings(arguments.drawings);
  std::vector<Drawing> held_back;
  for (std::size_t i = 0; i < all.size() && std::ssize(held_back) < arguments.limit; ++i) {
    if (drawing_held_back(static_cast<std::int64_t>(i))) {
      held_back.push_back(all[i]);
    }
  }
  return held_back;
}

int run_drawings(const Arguments& arguments) {
  const auto drawings = held_back_drawings(arguments);
  const Painter painter = load_painter(arguments.request);
  if (!painter.model().embeds()) {
    fail(Kind::invalid_argument, "{} has no CLIP of pictures and texts", arguments.request.model);
  }
  const Captioner captioner(resolve_model(arguments.request.model), arguments.request.dtype);
  const CaptionOptions options{.kind = "alt", .seed = arguments.request.seed.value_or(0)};
  const fs::path folder = arguments.out;
  claim_folder(folder / "study.json", nlohmann::json{{"study", arguments.study}}.dump());
  const auto judged =
      judged_drawings(painter.model(), captioner, drawings, options, keeping_in(folder));
  const ReportHead head{arguments.request.model, "captions of the kind alt"};
  write_file_atomically(folder / "drawings.html", drawings_html(head, judged));
  fmt::print("{}{}\n", drawings_table(judged), (fs::absolute(folder) / "drawings.html").string());
  return 0;
}

int run_curves(const Arguments& arguments) {
  if (arguments.evaluations.empty()) {
    fail(Kind::invalid_argument,
         "--study curves needs the folders of evaluations, called PAINTER-PICTURES");
  }
  std::vector<PainterEvaluation> evaluations;
  for (const std::string& folder : arguments.evaluations) {
    evaluations.push_back(PainterEvaluation::read(folder));
  }
  const fs::path folder = arguments.out;
  const std::string table = curves_table(evaluations);
  write_file_atomically(folder / "curves.html", curves_html(evaluations, folder));
  write_file_atomically(folder / "curves.md", table);
  fmt::print("{}{}\n", table, (fs::absolute(folder) / "curves.html").string());
  return 0;
}

/// The captions that an earlier evaluation had its prompts lengthened to, for all prompts of these
/// trials.
TrialCaptions captions_of(const fs::path& evaluation, const std::vector<Trial>& trials) {
  TrialCaptions captions;
  for (const ReportRow& row : read_evaluation(evaluation)) {
    if (row.kind == "lengthened") {
      captions[{row.prompt, row.seed}] = row.caption;
    }
  }
  for (const Trial& trial : trials) {
    if (trial.kind == "lengthened" && !captions.contains({trial.prompt.prompt, trial.seed})) {
      fail(
          Kind::invalid_argument,
          "{} has no lengthened caption of \"{}\"; name an evaluation of the same tasks, limit and "
          "seed to --captions-of",
          evaluation.string(), trial.prompt.prompt);
    }
  }
  return captions;
}

int run_prompts(const Arguments& arguments) {
  if (!arguments.evaluations.empty()) {
    fail(Kind::invalid_argument, "{}: folders are named for --study curves alone",
         arguments.evaluations.front());
  }
  const SceneJudge judge = judge_of(arguments);
  const World world(judge.world());
  PaintRequest request = arguments.request;
  request.seed = request.seed.value_or(0);
  const ModelDefaults defaults = ModelDefaults::of(resolve_model(request.model));
  const Painter painter = load_painter(request);
  resolve(request, defaults, painter);
  require_text(painter, request);
  const std::vector<Trial> trials = trials_of(arguments, world, request.seed.value());
  std::string settings = painting_text(request);
  if (!arguments.detector.empty()) {
    settings += "; judged by " + arguments.detector;
  }
  std::optional<Upsampler> upsampler;
  TrialCaptions lengthened;
  if (!arguments.captions_of.empty()) {
    lengthened = captions_of(arguments.captions_of, trials);
    settings += "; captions of " + arguments.captions_of;
  } else if (std::ranges::find(arguments.kinds, "lengthened") != arguments.kinds.end()) {
    const UpsampleRequest asked = upsampling_of(request, defaults, painter.model().max_tokens());
    const auto model = load_language_model(asked);
    upsampler.emplace(model, Template::load(asked.prompt_template), asked,
                      painter.model().tokenizer());
    settings += "; lengthened by " + model->name();
  }
  Results results(arguments, {request.model, settings});
  results.check_resumed(trials);
  const Evaluator evaluator{world,
                            judge,
                            painter,
                            upsampler ? &*upsampler : nullptr,
                            std::move(lengthened),
                            painting_of(request)};
  Progress progress("evaluating", "pictures", std::ssize(trials), results.done());
  while (results.done() < std::ssize(trials)) {
    throw_if_interrupted();
    const auto batch = next_batch(trials, results.done(), arguments.batch);
    for (const Judged& judged : evaluator.judged(results.done(), batch)) {
      results.add(judged);
      progress.advance();
    }
  }
  results.finish();
  return 0;
}

}  // namespace

std::function<int()> declare_eval(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  app.add_option("-o,--out", arguments->out, "the folder to write; goes on where it stands")
      ->required();
  app.add_option("--study", arguments->study,
                 "prompts: are they followed; sdedit: strokes of scenes, edited at ten strengths; "
                 "compositing: scenes into which a thing is pasted, edited alike; "
                 "variations: scenes painted anew from their embeddings; "
                 "captions: what the captioner tells of scenes; "
                 "drawings: people's own, captioned beside their titles; "
                 "curves: evaluations of painters over their training")
      ->check(CLI::IsMember(
          {"prompts", "sdedit", "compositing", "variations", "captions", "drawings", "curves"}))
      ->capture_default_str();
  app.add_option("--task", arguments->tasks,
                 fmt::format("a task, as often as there are: {} (default: all)",
                             fmt::join(task_names(), ", ")));
  app.add_option(
         "--kind", arguments->kinds,
         "what is painted, as often as there are: truth (the world's own picture), short (the "
         "prompt), lengthened, described (by the world), imagined (the prompt, with the prior's "
         "picture embedding), varied (from the embedding of the world's picture) (default: the "
         "first four)")
      ->check(CLI::IsMember(trial_kinds()));
  app.add_option("--limit", arguments->limit,
                 "prompts of each task; scenes that are edited or captioned; drawings")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  app.add_option("--batch", arguments->batch, "pictures painted at once")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--captions-of", arguments->captions_of,
                 "an earlier evaluation's folder, whose lengthened captions are taken again");
  app.add_option("evaluations", arguments->evaluations, "the folders of --study curves");
  app.add_option("--drawings", arguments->drawings, "the table of --study drawings");
  app.add_option("--detector", arguments->detector, "a folder (default: models/detector)");
  app.add_flag("--overwrite", arguments->overwrite, "begin anew");
  add_fields(app, arguments->request);
  add_memory(app);
  app.footer(examples);
  return [arguments] {
    return arguments->study == "prompts"      ? run_prompts(*arguments)
           : arguments->study == "curves"     ? run_curves(*arguments)
           : arguments->study == "captions"   ? run_captions(*arguments)
           : arguments->study == "drawings"   ? run_drawings(*arguments)
           : arguments->study == "variations" ? run_variations(*arguments)
                                              : run_sdedit(*arguments);
  };
}

}  // namespace longhand
