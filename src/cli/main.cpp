// longhand: the table of commands, and the one place where errors become exit codes.
#include <cstdio>

#include "cli/command.h"
#include "cli/commands.h"
#include "core/error.h"
#include "core/interrupt.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/version.h"
#include "nn/torch_error.h"

namespace longhand {
namespace {

constexpr Command commands[] = {
    {"draw", "Paint a prompt, lengthened first", declare_draw},
    {"edit", "Paint a picture anew, all of it or a part, towards a prompt", declare_edit},
    {"strokes", "Turn a photo into a stroke painting, to edit it from", declare_strokes},
    {"vary", "Paint variations of a picture", declare_vary},
    {"blend", "Paint a strip between pictures, or pictures and texts", declare_blend},
    {"morph", "Paint a strip from a picture along the difference of two texts", declare_morph},
    {"compare", "Paint prompts as typed and lengthened: pairs, a gallery and a dataset",
     declare_compare},
    {"eval", "Tell how well a model follows prompts, with known truth", declare_eval},
    {"sheet", "Paint many prompts into one picture, unpicked", declare_sheet},
    {"show", "Tell how a picture came about", declare_show},
    {"upsample", "Lengthen prompts into captions that fit and keep what was asked",
     declare_upsample},
    {"caption", "Write captions of pictures: short ones, descriptive ones", declare_caption},
    {"merge", "Join the tables that shards of a job wrote", declare_merge},
    {"models", "List the models that are known, and which are on this machine", declare_models},
    {"pull", "Get a model from Hugging Face's hub", declare_pull},
    {"train", "Train a model by a recipe", declare_train},
    {"world", "Look at the scenes that the embedded model is trained on", declare_world},
};

int report(const Error& error) {
  std::fprintf(stderr, "longhand: %s\n", error.what());
  return exit_code(error.kind());
}

int run(int argc, char** argv) {
  CLI::App app("Write a few words; get the picture you meant.", "longhand");
  app.set_version_flag("--version", version);
  app.require_subcommand(1);
  std::function<int()> chosen;
  for (const Command& command : commands) {
    CLI::App* verb = app.add_subcommand(command.name, command.summary);
    const auto action = command.declare(*verb);
    verb->callback([&chosen, action] { chosen = action; });
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : exit_code(Kind::invalid_argument);
  }
  const int code = chosen();
  flush_output();
  return code;
}

}  // namespace
}  // namespace longhand

int main(int argc, char** argv) {
  using longhand::Error;
  longhand::keep_freed_memory(true);  // tensors come and go at each step
  longhand::init_log();
  longhand::catch_interrupts();
  try {
    return longhand::run(argc, argv);
  } catch (const Error& error) {
    return longhand::report(error);
  } catch (const c10::Error& error) {
    return longhand::report(longhand::house_error(error));
  } catch (const std::bad_alloc&) {
    return longhand::report(
        Error(longhand::Kind::out_of_memory, "out of memory: take a smaller batch or size"));
  } catch (const std::exception& error) {
    return longhand::report(Error(longhand::Kind::internal, error.what()));
  }
}
