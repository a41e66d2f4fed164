// longhand compare: prompts → a folder with gallery.html, the pictures and a dataset; goes on where
// it stands.
#include "pipeline/compare.h"

#include <fmt/ranges.h>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/painting.h"
#include "cli/prompt_rows.h"
#include "core/interrupt.h"
#include "core/log.h"
#include "core/progress.h"
#include "io/hub_catalogue.h"
#include "io/table.h"
#include "pipeline/language_models.h"
#include "pipeline/picture_record.h"

namespace longhand {
namespace {

constexpr const char* examples = R"(Examples:
  longhand compare --prompts drawbench --out drawbench-pairs --limit 16
  longhand compare --prompts my-prompts.txt --out pairs --seed 7 --llm http://localhost:8080/v1
OUT then holds gallery.html, images/, data/*.parquet (loads in pandas, datasets and polars) and rows.jsonl. Stopped at any
moment, the same command goes on.)";

/// The original dataset's columns, and what this run knows beyond them.
const std::vector<Column> columns = {{"Prompt", Column::Type::text},
                                     {"Image", Column::Type::image},
                                     {"Upsampled_Prompt", Column::Type::text},
                                     {"Image_With_Upsampled_Prompt", Column::Type::image},
                                     {"model_name", Column::Type::text},
                                     {"seed", Column::Type::whole},
                                     {"Category", Column::Type::text},
                                     {"Tokens", Column::Type::whole},
                                     {"Lost", Column::Type::text},
                                     {"LLM", Column::Type::text},
                                     {"Template", Column::Type::text},
                                     {"Settings", Column::Type::text},
                                     {"Upsample_Seconds", Column::Type::number},
                                     {"Paint_Seconds", Column::Type::number}};

struct Arguments {
  PaintRequest request;
  PromptSource source;
  std::string out;
  int rows_a_batch = 8;
  bool overwrite = false;
};

/// What a row of the table says, as the gallery shows it.
GalleryRow gallery_row(const std::vector<std::string>& row) {
  return {row[0],
          row[2],
          row[6],
          row[8],
          row[1],
          row[3],
          row[5],
          std::stod(row[12]),
          std::stod(row[13]),
          std::stoi(row[7])};
}

/// One run of the verb: the folder, its table and what the gallery shows so far.
class Run {
 public:
  Run(const Arguments& arguments, const PaintRequest& request, const GalleryHead& head)
      : folder_(arguments.out),
        request_(request),
        head_(head),
        writer_(folder_, columns, {.overwrite = arguments.overwrite, .card = card()}) {
    const auto before = writer_.existing();
    while (const auto row = before->next()) {
      gallery_.push_back(gallery_row(*row));
    }
  }

  std::int64_t before() const { return writer_.before(); }
  std::int64_t rows() const { return std::ssize(gallery_); }

  /// Rows that an earlier run wrote must be of the same prompts and settings.
  void check_resumed(PromptRows& rows) const {
    writer_.check_existing("prompt, seed, model, template or settings",
                           [&](std::int64_t, const std::vector<std::string>& old) {
                             const auto row = rows.next();
                             return row && old[0] == row->prompt && old[4] == head_.model &&
                                    old[5] == std::to_string(request_.seed.value()) &&
                                    old[9] == head_.llm && old[10] == head_.prompt_template &&
                                    old[11] == head_.settings;
                           });
  }

  void add(const Pair& pair) {
    const Caption& caption = pair.caption;
    const std::string stem = fmt::format("images/{:05}", gallery_.size());
    const std::string typed = stem + "-typed.png", lengthened = stem + "-lengthened.png";
    write_picture(typed, pair.as_typed,
                  {{request_, caption.prompt, 1, true}, caption.prompt, "", "", 0});
    write_picture(
        lengthened, pair.lengthened,
        {{request_, caption.prompt}, caption.caption, head_.llm, head_.prompt_template, 0});
    const std::string lost = fmt::format("{}", fmt::join(caption.lost, "; "));
    writer_.append({caption.prompt, typed, caption.caption, lengthened, head_.model, pair.seed,
                    caption.category, static_cast<std::int64_t>(caption.tokens), lost, head_.llm,
                    head_.prompt_template, head_.settings, pair.upsample_seconds,
                    pair.paint_seconds});
    gallery_.push_back({caption.prompt, caption.caption, caption.category, lost, typed, lengthened,
                        std::to_string(pair.seed), pair.upsample_seconds, pair.paint_seconds,
                        caption.tokens});
  }

  void write_gallery() const {
    write_file_atomically(folder_ / "gallery.html", gallery_html(head_, gallery_));
  }

  void finish() {
    write_gallery();
    writer_.finish();
  }

 private:
  std::string card() const {
    return fmt::format(
        "# Prompts as typed and lengthened\n\nPairs of pictures from the same noise, painted by "
        "Longhand with {} ({}): once from the prompt, "
        "once from the caption that {} made of it with the template {}.\n",
        head_.model, head_.settings, head_.llm, head_.prompt_template);
  }

  void write_picture(const std::string& path, const Image& image,
                     const PictureRecord& record) const {
    write_file_atomically(folder_ / path, encode_png(image, picture_text(record)));
  }

  fs::path folder_;
  PaintRequest request_;
  GalleryHead head_;
  RowWriter writer_;
  std::vector<GalleryRow> gallery_;
};

int run(const Arguments& arguments) {
  if (arguments.source.prompts.empty()) {
    fail(Kind::invalid_argument, "say which prompts: --prompts drawbench, or a file");
  }
  check_not_source(arguments.source, arguments.out);
  PromptRows rows(arguments.source);
  const ModelDefaults defaults = ModelDefaults::of(resolve_model(arguments.request.model));
  const Painter painter = load_painter(arguments.request);
  PaintRequest request = arguments.request;
  request.seed = request.seed.value_or(0);  // a killed run goes on with the same one
  resolve(request, defaults, painter);
  require_text(painter, request);
  const UpsampleRequest upsampling = upsampling_of(request, defaults, painter.model().max_tokens());
  const auto model = load_language_model(upsampling);
  const Upsampler upsampler(model, Template::load(upsampling.prompt_template), upsampling,
                            painter.model().tokenizer());
  const std::string settings =
      fmt::format("{}, best of {} captions", painting_text(request), request.candidates);
  Run pairs(
      arguments, request,
      {request.model, defaults.about, model->name(), upsampler.prompt_template().name, settings});
  pairs.check_resumed(rows);
  Progress progress("pairs", "prompts", rows.total(), pairs.before());
  std::int64_t since_page = 0;
  compare(
      upsampler, painter, request, arguments.rows_a_batch, [&] { return rows.next(); },
      [&](const Pair& pair) {
        pairs.add(pair);
        progress.advance();
        // Ever rarer, since it is the whole page.
        if (++since_page >= std::max<std::int64_t>(arguments.rows_a_batch, pairs.rows() / 10)) {
          pairs.write_gallery();
          since_page = 0;
        }
      });
  pairs.finish();
  fmt::print("{}\n", (fs::absolute(arguments.out) / "gallery.html").string());
  throw_if_interrupted();
  return 0;
}

}  // namespace

std::function<int()> declare_compare(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  add_source(app, arguments->source);
  app.add_option("-o,--out", arguments->out, "the folder to write; goes on where it stands")
      ->required();
  app.add_option("--rows-a-batch", arguments->rows_a_batch, "prompts painted at once")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_flag("--overwrite", arguments->overwrite, "begin anew");
  add_fields(app, arguments->request);
  add_memory(app);
  app.footer(examples);
  return [arguments] { return run(*arguments); };
}

}  // namespace longhand
