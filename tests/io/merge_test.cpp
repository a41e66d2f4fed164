// Shards joined in the order of the whole, and what is refused.
#include "io/merge.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include "core/error.h"
#include "io/table.h"

using namespace longhand;

namespace {

struct Folder {
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
  fs::path path = fs::temp_directory_path() / fmt::format("merge-{}", getpid());
};

/// `count` rows as shards i/n with `ending`.
std::vector<fs::path> shards_of(const Folder& folder, int count, int n, const std::string& ending,
                                const std::vector<std::string>& models = {}) {
  std::vector<fs::path> shards;
  for (int i = 0; i < n; ++i) {
    shards.push_back(folder.path / fmt::format("part{}{}", i, ending));
    RowWriter writer(
        shards.back(),
        {{"Prompt"}, {"Seed", Column::Type::whole}, {"Model"}, {"Score", Column::Type::number}},
        {.text_column = "Prompt", .overwrite = true});
    for (int row = i; row < count; row += n) {
      writer.append({fmt::format("a \"cat\", {}", row), std::int64_t{7},
                     models.empty() ? "m" : models[static_cast<std::size_t>(i)],
                     row % 2 == 0 ? Cell(0.5) : Cell()});
    }
    writer.finish();
  }
  return shards;
}

std::vector<std::string> prompts_in(const fs::path& path) {
  const auto reader = RowReader::open(path);
  const std::size_t column = prompt_column(*reader, "");
  std::vector<std::string> prompts;
  while (const auto row = reader->next()) {
    prompts.push_back(row->at(column));
  }
  return prompts;
}

}  // namespace

TEST_CASE("shards of every format become what one process would have written") {
  const Folder folder;
  for (const char* ending : {".jsonl", ".csv", ".tsv", ".txt", ".parquet", ".tar"}) {
    for (const int count : {7, 6, 2}) {
      CAPTURE(ending);
      CAPTURE(count);
      const fs::path out = folder.path / (std::string("whole") + ending);
      const fs::path single = shards_of(folder, count, 1, ending).front();
      const auto expected = prompts_in(single);
      const std::string bytes = read_file(single);
      const auto shards = shards_of(folder, count, 3, ending);
      CHECK(merge_shards(shards, out) == count);
      CHECK(prompts_in(out) == expected);
      if (std::string_view(ending) != ".parquet") {
        CHECK(read_file(out) == bytes);
      }
      CHECK_THROWS_AS(merge_shards(shards, out), Error);  // it is there
      fs::remove(out);
    }
  }
}

TEST_CASE("folders with pictures become the folder that one process would have written") {
  const Folder folder;
  const auto folder_of = [&](const std::string& name, int count, int part, int parts) {
    const fs::path path = folder.path / name;
    RowWriter writer(path,
                     {{"Prompt"}, {"Image", Column::Type::image}, {"Seed", Column::Type::whole}},
                     {.card = "# Some pictures\n", .shard_rows = parts == 1 ? 10 : 2});
    for (int row = part, own = 0; row < count; row += parts, ++own) {
      const std::string picture = fmt::format("images/{:05}-typed.png", own);
      write_file_atomically(path / picture, fmt::format("picture {}", row));
      writer.append({fmt::format("a cat, {}", row), picture, std::int64_t{7}});
    }
    writer.finish();
    return path;
  };
  const fs::path whole = folder_of("whole", 7, 0, 1), out = folder.path / "merged";
  const std::vector<fs::path> shards = {folder_of("part0", 7, 0, 2), folder_of("part1", 7, 1, 2)};
  fs::remove_all(shards[1] / "images");  // the Parquet has them
  CHECK(merge_shards(shards, out / "") == 7);
  for (const char* file :
       {"rows.jsonl", "README.md", "data/train-00000-of-00001.parquet", "images/00000-typed.png",
        "images/00005-typed.png", "images/00006-typed.png"}) {
    CAPTURE(file);
    CHECK(read_file(out / file) == read_file(whole / file));
  }
  CHECK(prompts_in(out) == prompts_in(whole));
  fs::remove_all(out);
  fs::remove_all(shards[0] / "data");
  CHECK_THROWS_WITH_AS(merge_shards(shards, out), doctest::Contains("finished"), Error);
  CHECK_FALSE(fs::exists(out));
}

TEST_CASE("a merge that failed leaves nothing to the next one") {
  const Folder folder;
  const fs::path out = folder.path / "whole.parquet";
  const fs::path longer = shards_of(folder, 9, 1, ".parquet").front();
  fs::rename(longer, folder.path / "longer.parquet");
  const auto shards = shards_of(folder, 6, 2, ".parquet");
  CHECK_THROWS_AS(merge_shards({shards[0], folder.path / "longer.parquet"}, out), Error);
  CHECK(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()) == 3);
  // As a killed one leaves it: its journal alone.
  write_file_atomically(folder.path / "whole.merging.parquet.rows.jsonl",
                        R"({"Prompt":"x","Seed":7,"Model":"m","Score":0.5})"
                        "\n");
  CHECK(merge_shards(shards, out) == 6);
  CHECK(prompts_in(out).size() == 6);
}

TEST_CASE("folders of a job of fewer rows than shards") {
  const Folder folder;
  const auto folder_of = [&](const std::string& name, int rows) {
    RowWriter writer(folder.path / name, {{"Prompt"}, {"Image", Column::Type::image}});
    for (int row = 0; row < rows; ++row) {
      write_file_atomically(folder.path / name / "images/00000.png", "picture");
      writer.append({std::string("a cat"), std::string("images/00000.png")});
    }
    writer.finish();
    return folder.path / name;
  };
  const std::vector<fs::path> shards = {folder_of("part0", 1), folder_of("part1", 0)};
  CHECK(merge_shards(shards, folder.path / "whole") == 1);
  CHECK(prompts_in(folder.path / "whole") == std::vector<std::string>{"a cat"});
}

TEST_CASE("pictures that lie elsewhere come into the folder") {
  const Folder folder;
  std::vector<fs::path> shards;
  for (const char* name : {"cat", "dog"}) {
    const std::string picture = fmt::format("../pictures/{}.png", name);
    shards.push_back(folder.path / name);
    write_file_atomically(folder.path / "pictures" / (std::string(name) + ".png"), name);
    RowWriter writer(shards.back(), {{"Caption"}, {"Image", Column::Type::image}});
    writer.append({std::string(name), picture});
    writer.finish();
  }
  const fs::path out = folder.path / "merged";
  CHECK(merge_shards(shards, out) == 2);
  CHECK(read_file(out / "images/00000-cat.png") == "cat");
  CHECK(read_file(out / "images/00001-dog.png") == "dog");
}

TEST_CASE("what is no whole job is refused, and nothing is left") {
  const Folder folder;
  const fs::path out = folder.path / "whole.jsonl";
  const auto shards = shards_of(folder, 7, 3, ".jsonl");
  CHECK_THROWS_AS(merge_shards({shards[1], shards[0], shards[2]}, out), Error);
  CHECK_THROWS_AS(merge_shards({shards[0], shards[2], shards[2], shards[1], shards[0]}, out),
                  Error);
  CHECK_THROWS_AS(merge_shards({shards[0]}, folder.path / "whole.csv"), Error);
  CHECK_THROWS_AS(merge_shards({folder.path / "none.jsonl"}, out), Error);
  const std::string text = read_file(shards[1]);
  write_file_atomically(shards[1], text.substr(0, text.size() - 9));
  CHECK_THROWS_WITH_AS(merge_shards(shards, out), doctest::Contains("within a row"), Error);
  const auto others = shards_of(folder, 6, 2, ".jsonl", {"m", "another"});
  CHECK_THROWS_WITH_AS(merge_shards(others, out), doctest::Contains("another"), Error);
  CHECK_FALSE(fs::exists(out));
  CHECK(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()) == 3);
}
