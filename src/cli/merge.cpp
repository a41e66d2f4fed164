// longhand merge: shards that processes wrote side by side → one table or folder.
#include "io/merge.h"
#include "cli/commands.h"
#include "core/error.h"

namespace longhand {
namespace {

constexpr const char* examples = R"(Examples:
  longhand upsample --prompts all.parquet --shard 0/2 --out part0.parquet &
  longhand upsample --prompts all.parquet --shard 1/2 --out part1.parquet
  longhand merge part0.parquet part1.parquet -o captions.parquet
  longhand merge pairs0/ pairs1/ -o pairs    # folders of compare; compare itself then writes their gallery.html
Rows come in the order of the whole, as one process would have written them; shards of other settings, in another order or not
finished are refused.)";

struct Arguments {
  std::vector<std::string> shards;
  std::string out;
};

int merge(const Arguments& arguments) {
  const std::int64_t rows =
      merge_shards({arguments.shards.begin(), arguments.shards.end()}, arguments.out);
  fmt::print("{} rows in {}\n", rows, arguments.out);
  return 0;
}

}  // namespace

std::function<int()> declare_merge(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  app.add_option("shards", arguments->shards, "tables that --shard 0/n to n-1/n wrote, in order")
      ->required();
  app.add_option("-o,--out", arguments->out,
                 "a .jsonl, .csv, .tsv, .txt, .parquet or .tar file, or a folder")
      ->required();
  app.footer(examples);
  return [arguments] { return merge(*arguments); };
}

}  // namespace longhand
