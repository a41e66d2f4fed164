// longhand upsample: prompts → captions, as text or as a table that a killed job goes on with.
#include "pipeline/upsample.h"

#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/prompt_rows.h"
#include "core/interrupt.h"
#include "core/log.h"
#include "core/progress.h"
#include "io/table.h"
#include "pipeline/language_models.h"
#include "text/sentences.h"

namespace longhand {
namespace {

constexpr const char* examples = R"(Examples:
  longhand upsample "a man holding a sword"
  longhand upsample --prompts drawbench --out captions.jsonl
  longhand upsample --modify "make the light red" --of "a figure in a dark forest, its blade glowing blue."
  longhand upsample --chat
  echo "a cat" | longhand upsample --llm zephyr-7b-beta.Q4_K_M.gguf
  longhand upsample "a cat" --llm http://localhost:11434/v1 --llm-model llama3.2)";

struct Arguments {
  UpsampleRequest request;
  PromptSource source;
  std::optional<std::string> prompt;
  std::string out, modify, of;
  bool overwrite = false, chat = false;
};

const std::vector<Column> columns = {{"Prompt"},
                                     {"Upsampled Prompt"},
                                     {"Category"},
                                     {"Seed", Column::Type::whole},
                                     {"Model"},
                                     {"Template"},
                                     {"Tokens", Column::Type::whole},
                                     {"Score", Column::Type::number},
                                     {"Lost"},
                                     {"Settings"}};

constexpr const char* card =
    "# Captions\n\nPrompts and what a language model lengthened them to, written by `longhand "
    "upsample`.\n";

/// Rows that an earlier run wrote must be of the same prompts and settings.
void check_resumed(const RowWriter& writer, PromptRows& rows, const Arguments& arguments,
                   const std::string& model, const Upsampler& upsampler) {
  const bool text_only = fs::path(arguments.out).extension() == ".txt";
  writer.check_existing(
      "prompt, seed, model, template, candidates, --max-tokens or sampling",
      [&](std::int64_t, const std::vector<std::string>& old) {
        const auto row = rows.next();
        return row && (text_only ||
                       (old[0] == row->prompt && old[3] == std::to_string(arguments.request.seed) &&
                        old[4] == model && old[5] == upsampler.prompt_template().name &&
                        old[9] == upsampler.settings()));
      });
}

int upsample_table(const Upsampler& upsampler, const std::string& model,
                   const Arguments& arguments) {
  PromptRows rows(arguments.source);
  RowWriter writer(
      arguments.out, columns,
      {.text_column = "Upsampled Prompt", .overwrite = arguments.overwrite, .card = card});
  check_resumed(writer, rows, arguments, model, upsampler);
  Progress progress("lengthening", "prompts", rows.total(), writer.before());
  upsampler.upsample(
      [&] { return rows.next(); },
      [&](const Caption& caption) {
        writer.append({caption.prompt, caption.caption, caption.category, arguments.request.seed,
                       model, upsampler.prompt_template().name,
                       static_cast<std::int64_t>(caption.tokens), caption.score,
                       fmt::format("{}", fmt::join(caption.lost, "; ")), upsampler.settings()});
        progress.advance();
      });
  writer.finish();
  throw_if_interrupted();
  return 0;
}

int upsample_stream(const Upsampler& upsampler, const Arguments& arguments) {
  PromptRows rows(arguments.source);
  upsampler.upsample([&] { return rows.next(); },
                     [](const Caption& caption) {
                       fmt::print("{}\n", caption.caption);
                       flush_output();
                     });
  throw_if_interrupted();
  return 0;
}

/// Each line lengthens a new prompt; a line that begins with / asks for a change of the last
/// caption.
int chat(const Upsampler& upsampler) {
  fmt::print(
      "A prompt a line; /CHANGE modifies the last caption, as in \"/make the light red\"; an empty "
      "line ends.\n");
  std::string line;
  Caption last;
  while (fmt::print("> "), std::fflush(stdout), std::getline(std::cin, line) && !line.empty()) {
    UpsampleRow row{line, "", {}};
    if (line[0] == '/' && !last.caption.empty()) {
      row.turns = upsampler.prompt_template().modify(last.prompt, last.caption, line.substr(1));
      row.prompt = line.substr(1);
    }
    try {
      check_prompt(row.prompt, "the line");
      Caption caption = upsampler.upsample(row);
      fmt::print("{}\n", caption.caption);
      last = row.turns.empty() ? caption : Caption{last.prompt, caption.caption, "", 0, 0, {}};
    } catch (const Error& error) {
      throw_if_interrupted();
      fmt::print(stderr, "{}\n", error.what());
    }
  }
  throw_if_interrupted();
  return 0;
}

/// Refuses what would be passed over in silence, and to write over what is read.
void check_arguments(const Arguments& arguments) {
  const bool single = arguments.prompt || !arguments.modify.empty();
  if (arguments.modify.empty() != arguments.of.empty()) {
    fail(Kind::invalid_argument, "--modify CHANGE and --of CAPTION go together");
  }
  if (single && (!arguments.out.empty() || !arguments.source.prompts.empty() || arguments.chat)) {
    fail(Kind::invalid_argument,
         "one prompt's caption is printed; for a table give the prompts with --prompts or on "
         "standard input");
  }
  if (arguments.chat && (!arguments.out.empty() || !arguments.source.prompts.empty())) {
    fail(Kind::invalid_argument,
         "--chat asks for prompts and prints their captions; leave --out and --prompts out");
  }
  check_not_source(arguments.source, arguments.out);
}

int run(const Arguments& arguments) {
  check_arguments(arguments);
  if (arguments.prompt || !arguments.modify.empty()) {
    check_prompt(arguments.modify.empty() ? *arguments.prompt : arguments.modify,
                 "the command line");
  }
  const std::shared_ptr<LanguageModel> model = load_language_model(arguments.request);
  const Upsampler upsampler(model, Template::load(arguments.request.prompt_template),
                            arguments.request);
  if (arguments.chat) {
    return chat(upsampler);
  }
  if (arguments.prompt || !arguments.modify.empty()) {
    UpsampleRow row{arguments.prompt.value_or(""), "", {}};
    if (!arguments.modify.empty()) {
      row.prompt = arguments.modify;
      row.turns = upsampler.prompt_template().modify(arguments.prompt.value_or(arguments.of),
                                                     arguments.of, arguments.modify);
    }
    const Caption caption = upsampler.upsample(row);
    if (!caption.lost.empty()) {
      spdlog::info("lost: {}", fmt::join(caption.lost, "; "));
    }
    fmt::print("{}\n", caption.caption);
    return 0;
  }
  return arguments.out.empty() ? upsample_stream(upsampler, arguments)
                               : upsample_table(upsampler, model->name(), arguments);
}

}  // namespace

std::function<int()> declare_upsample(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  app.add_option("prompt", arguments->prompt,
                 "a prompt; without it, one a line is read from standard input");
  add_source(app, arguments->source);
  app.add_option(
      "-o,--out", arguments->out,
      "a .jsonl, .csv, .tsv, .txt, .parquet or .tar file, or a folder for a Hugging Face "
      "dataset; goes on where it stands");
  app.add_flag("--overwrite", arguments->overwrite, "begin the output anew");
  app.add_option("--modify", arguments->modify, "change a caption: what to change");
  app.add_option("--of", arguments->of, "the caption that --modify changes");
  app.add_flag("--chat", arguments->chat, "prompts and changes in turn");
  add_fields(app, arguments->request);
  app.footer(examples);
  return [arguments] { return run(*arguments); };
}

}  // namespace longhand
