// longhand caption: pictures → captions, as text or as a table that a killed job goes on with.
#include <algorithm>
#include <fstream>

#include "cli/command.h"
#include "cli/commands.h"
#include "core/interrupt.h"
#include "core/letters.h"
#include "core/log.h"
#include "core/progress.h"
#include "io/hub_catalogue.h"
#include "io/table.h"
#include "pipeline/captioner.h"

namespace longhand {
namespace {

constexpr const char* examples = R"(Examples:
  longhand caption photo.png
  longhand caption pictures/ --out captions.jsonl
  longhand caption pictures/ --out captioned --kind short       # a dataset, pictures in it
  longhand caption pictures/ --out part3.parquet --shard 3/8    # beside seven other processes
What the embedded captioner knows is the world that `longhand world --list` prints. Stopped at any moment, the same command
goes on.)";

struct CaptionRequest {
  std::string model = "pocket";
  std::string kind = "descriptive";
  double temperature = 0;
  int top_k = 50;
  std::int64_t seed = 0;
  int batch = 16;
  std::string shard = "0/1";
  std::string dtype = "auto";
  bool keep_going = false;

  static constexpr auto fields = std::tuple{
      field("model", &CaptionRequest::model, "a model with a captioner: its name or folder"),
      field("kind", &CaptionRequest::kind,
            "descriptive (all of the picture), short (the main subject) or alt (as the web has "
            "them)"),
      field("temperature", &CaptionRequest::temperature, "0 takes the likeliest words", 0, 5),
      field("top_k", &CaptionRequest::top_k, "tokens to choose among", 1, 1000),
      field("seed", &CaptionRequest::seed, "random seed", 0, 9e15),
      field("batch", &CaptionRequest::batch, "pictures at once", 1, 256),
      field("shard", &CaptionRequest::shard,
            "i/n: every n-th picture only, from the i-th on (0 to n-1), beside other processes"),
      field("dtype", &CaptionRequest::dtype, "auto, float32 or bfloat16"),
      field("keep_going", &CaptionRequest::keep_going, "pass pictures that cannot be read"),
  };
};

struct Arguments {
  CaptionRequest request;
  std::vector<std::string> pictures;
  std::string out;
  bool overwrite = false;
};

const std::vector<Column> columns = {
    {"Image", Column::Type::image}, {"Caption"}, {"Kind"}, {"Model"},
    {"Seed", Column::Type::whole},  {"Settings"}};

constexpr const char* card = "# Captions\n\nPictures and what `longhand caption` sees in them.\n";

bool is_picture(const fs::path& path) {
  const std::string ending = lower(path.extension().string());
  return ending == ".png" || ending == ".jpg" || ending == ".jpeg" || ending == ".webp";
}

/// A table holds text, and goes on where its paths are those of before.
void check_names(const std::vector<fs::path>& pictures) {
  for (const fs::path& picture : pictures) {
    const nlohmann::json name = picture.string();
    const std::string text = name.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    if (nlohmann::json::parse(text) != name) {
      fail(Kind::invalid_argument,
           "{}: a file's name that is not UTF-8 cannot go into a table; "
           "rename it",
           nlohmann::json::parse(text).get<std::string>());
    }
  }
}

/// Files as they are named, of folders all pictures below them by name; this process's part.
std::vector<fs::path> pictures_of(const Arguments& arguments) {
  std::vector<fs::path> all;
  for (const std::string& name : arguments.pictures) {
    if (!fs::is_directory(name)) {
      all.emplace_back(name);
      continue;
    }
    const auto before = std::ssize(all);
    for (const auto& entry : fs::recursive_directory_iterator(name)) {
      if (entry.is_regular_file() && is_picture(entry.path())) {
        all.push_back(entry.path());
      }
    }
    std::sort(all.begin() + before, all.end());
    if (std::ssize(all) == before) {
      fail(Kind::not_found, "{} has no .png, .jpg or .webp files in it", name);
    }
  }
  const auto [part, parts] = shard_of(arguments.request.shard);
  std::vector<fs::path> own;
  for (auto i = static_cast<std::size_t>(part); i < all.size();
       i += static_cast<std::size_t>(parts)) {
    own.push_back(all[i]);
  }
  return own;
}

/// A file's picture as the captioner sees it. Throws as read_image, and where it is too narrow.
at::Tensor prepared(const Captioner& captioner, const fs::path& path) {
  const Image picture = read_image(path);
  try {
    return captioner.prepared(picture);
  } catch (const Error& error) {
    fail(error.kind(), "{}: {}", path.string(), error.what());
  }
}

/// Captions of this process's pictures from number `first` on, batch by batch; done(path, caption),
/// "" where the picture could not be read.
void caption_all(const Captioner& captioner, const CaptionRequest& request,
                 const std::vector<fs::path>& pictures, std::int64_t first,
                 const std::function<void(const fs::path&, const std::string&)>& done) {
  const auto [part, parts] = shard_of(request.shard);
  const CaptionOptions options{request.kind, request.temperature, request.top_k, request.seed,
                               parts};
  for (std::int64_t at = first; at < std::ssize(pictures); at += request.batch) {
    throw_if_interrupted();
    const std::int64_t end = std::min<std::int64_t>(std::ssize(pictures), at + request.batch);
    std::vector<at::Tensor> seen;
    std::vector<bool> readable;
    for (std::int64_t i = at; i < end; ++i) {
      try {
        seen.push_back(prepared(captioner, pictures[static_cast<std::size_t>(i)]));
        readable.push_back(true);
      } catch (const Error& error) {
        if (!request.keep_going) {
          throw;
        }
        spdlog::warn("{}", error.what());
        // Stands in, so that the others keep their numbers.
        seen.push_back(captioner.prepared(Image(8, 8, 3)));
        readable.push_back(false);
      }
    }
    const auto captions = captioner.captions(seen, options, part + at * parts);
    for (std::int64_t i = at; i < end; ++i) {
      const auto row = static_cast<std::size_t>(i - at);
      done(pictures[static_cast<std::size_t>(i)], readable[row] ? captions[row] : "");
    }
  }
}

/// As a table beside the pictures names them.
std::string path_from(const fs::path& picture, const fs::path& table) {
  const bool is_folder = !table.has_extension() || fs::is_directory(table);
  const fs::path folder = is_folder ? table : fs::absolute(table).parent_path();
  return fs::proximate(fs::absolute(picture), fs::absolute(folder)).string();
}

/// What captions depend on beside picture, kind, model and seed.
std::string settings_of(const CaptionRequest& request) {
  return request.temperature == 0
             ? "temperature 0"
             : fmt::format("temperature {}, top-k {}", request.temperature, request.top_k);
}

int caption_table(const Captioner& captioner, const Arguments& arguments,
                  const std::vector<fs::path>& pictures) {
  const CaptionRequest& request = arguments.request;
  RowWriter writer(arguments.out, columns,
                   {.text_column = "Caption", .overwrite = arguments.overwrite, .card = card});
  const bool text_only = fs::path(arguments.out).extension() == ".txt";
  writer.check_existing(
      "picture, kind, model, seed, temperature or top-k",
      [&](std::int64_t i, const std::vector<std::string>& old) {
        return i < std::ssize(pictures) &&
               (text_only ||
                ((old[0].empty() ||
                  old[0] == path_from(pictures[static_cast<std::size_t>(i)], arguments.out)) &&
                 old[2] == request.kind && old[3] == request.model &&
                 old[4] == std::to_string(request.seed) && old[5] == settings_of(request)));
      });
  Progress progress("captioning", "pictures", std::ssize(pictures), writer.before());
  caption_all(captioner, request, pictures, writer.before(),
              [&](const fs::path& picture, const std::string& caption) {
                // What cannot even be opened could not be put into the table at the end.
                const bool opens = std::ifstream(picture).good();
                writer.append({opens ? path_from(picture, arguments.out) : "", caption,
                               request.kind, request.model, request.seed, settings_of(request)});
                progress.advance();
              });
  writer.finish();
  return 0;
}

int run(const Arguments& arguments) {
  const CaptionRequest& request = arguments.request;
  if (std::ranges::find(captioner_kinds(), request.kind) == captioner_kinds().end()) {
    fail(Kind::invalid_argument, "--kind {} is not known; expected descriptive, short or alt",
         request.kind);
  }
  const std::vector<fs::path> pictures = pictures_of(arguments);
  if (!arguments.out.empty()) {
    check_names(pictures);
  }
  const Captioner captioner(resolve_model(request.model), request.dtype);
  if (!arguments.out.empty()) {
    return caption_table(captioner, arguments, pictures);
  }
  caption_all(captioner, request, pictures, 0,
              [&](const fs::path& picture, const std::string& caption) {
                fmt::print("{}{}\n", pictures.size() > 1 ? picture.string() + ": " : std::string(),
                           caption);
                flush_output();
              });
  return 0;
}

}  // namespace

std::function<int()> declare_caption(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  app.add_option("pictures", arguments->pictures, "files, or folders of them")->required();
  app.add_option(
      "-o,--out", arguments->out,
      "a .jsonl, .csv, .tsv, .txt, .parquet or .tar file, or a folder for a Hugging Face "
      "dataset; goes on where it stands");
  app.add_flag("--overwrite", arguments->overwrite, "begin the output anew");
  add_fields(app, arguments->request);
  app.footer(examples);
  return [arguments] { return run(*arguments); };
}

}  // namespace longhand
