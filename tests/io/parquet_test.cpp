// Tables as Parquet and as dataset folders: what is written comes back, a killed writer goes on,
// files stay whole.
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <limits>

#include "core/error.h"
#include "core/random.h"
#include "io/dataset.h"
#include "io/image.h"
#include "io/parquet.h"
#include "io/table.h"

using namespace longhand;

namespace {

using Rows = std::vector<std::vector<std::string>>;

struct Scratch {
  fs::path folder;
  Scratch() {
    std::string name = (fs::temp_directory_path() / "longhand-parquet-XXXXXX").string();
    folder = mkdtemp(name.data());
  }
  ~Scratch() { fs::remove_all(folder); }
};

const std::vector<Column> columns = {{"Prompt"},
                                     {"Seed", Column::Type::whole},
                                     {"Score", Column::Type::number},
                                     {"Image", Column::Type::image}};
const std::vector<std::string> nasty = {"plain",
                                        "with, comma",
                                        "a \"quoted\" word",
                                        "two\nlines",
                                        "tab\there",
                                        "émoji 🐈",
                                        "",
                                        "'",
                                        "\\",
                                        std::string("nul\0inside", 10)};

Rows read_all(const fs::path& path) {
  const auto reader = RowReader::open(path);
  Rows rows;
  while (auto row = reader->next()) {
    rows.push_back(*row);
  }
  return rows;
}

/// What a dataset folder's shards hold.
Rows read_folder(const fs::path& folder) {
  Rows rows;
  for (const fs::path& shard : dataset_shards(folder)) {
    std::ranges::copy(read_all(shard), std::back_inserter(rows));
  }
  return rows;
}

std::string picture(int side) {
  Image image(side, side, 3);
  Random random({static_cast<std::uint64_t>(side)});
  for (auto& pixel : image.pixels) {
    pixel = static_cast<std::uint8_t>(random.below(256));
  }
  return encode_png(image);
}

/// Appends numbered rows with a picture each, and finishes.
void write_numbered(const fs::path& path, std::int64_t from, std::int64_t to,
                    const RowOptions& options = {}) {
  const fs::path folder = path.extension().empty() ? path : path.parent_path();
  RowWriter writer(path, columns, options);
  REQUIRE(writer.before() == from);
  for (std::int64_t i = from; i < to; ++i) {
    const std::string name = fmt::format("images/{:05}.png", i);
    write_file_atomically(folder / name, picture(static_cast<int>(8 + i % 5)));
    writer.append({fmt::format("prompt {}", i), i, 0.5 * static_cast<double>(i), name});
  }
  writer.finish();
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    names.push_back(entry.path().filename());
  }
  std::ranges::sort(names);
  return names;
}

/// Opens, appends and finishes for ever, in turn; `appended` counts rows that the job knows to be
/// there.
[[noreturn]] void write_for_ever(const fs::path& path, volatile std::int64_t* appended) {
  for (;;) {
    RowWriter writer(path, columns, {.shard_rows = 100});
    for (std::int64_t n = 0, i = writer.before(); n < 40; ++n, ++i) {
      writer.append({std::to_string(i), i, {}, {}});
      *appended = i + 1;
    }
    writer.finish();
  }
}

}  // namespace

TEST_CASE("what is written as Parquet comes back") {
  const Scratch scratch;
  for (const char* name : {"x.parquet", "folder"}) {
    const fs::path path = scratch.folder / name;
    RowWriter writer(path, columns);
    for (const std::string& text : nasty) {
      writer.append({text, std::int64_t{-7}, 0.25, {}});
    }
    writer.append({{}, std::numeric_limits<std::int64_t>::max(), {}, std::string()});
    writer.finish();
    const Rows rows = path.extension().empty() ? read_folder(path) : read_all(path);
    REQUIRE(rows.size() == nasty.size() + 1);
    for (std::size_t i = 0; i < nasty.size(); ++i) {
      CHECK(rows[i] == std::vector<std::string>{nasty[i], "-7", "0.25", ""});
    }
    CHECK(rows.back() == std::vector<std::string>{"", "9223372036854775807", "", ""});
  }
}

TEST_CASE("opened again, Parquet goes on after its rows") {
  const Scratch scratch;
  const fs::path path = scratch.folder / "x.parquet";
  write_numbered(path, 0, 3);
  CHECK(names_in(scratch.folder) == std::vector<std::string>{"images", "x.parquet"});
  write_numbered(path, 3, 250);
  CHECK(names_in(scratch.folder) == std::vector<std::string>{"images", "x.parquet"});
  const Rows rows = read_all(path);
  REQUIRE(rows.size() == 250);
  CHECK(rows[249] == std::vector<std::string>{"prompt 249", "249", "124.5", "images/00249.png"});
  CHECK_THROWS_WITH_AS(RowWriter(path, {{"Other"}}),
                       doctest::Contains("Prompt, Seed, Score, Image"), Error);
  CHECK(names_in(scratch.folder) == std::vector<std::string>{"images", "x.parquet"});
  CHECK(RowWriter(path, {{"Other"}}, {.overwrite = true}).before() == 0);
  CHECK(read_all(path).size() == 250);
}

TEST_CASE("pictures are within the Parquet, and are written again where their files are missing") {
  const Scratch scratch;
  const fs::path path = scratch.folder / "x.parquet",
                 file = scratch.folder / "images" / "00001.png";
  write_numbered(path, 0, 3);
  const std::string bytes = read_file(file);
  ParquetReader reader(path, true);
  reader.next();
  reader.next();
  CHECK(reader.picture(3) == bytes);
  CHECK(reader.picture(0).empty());
  fs::remove_all(scratch.folder / "images");
  write_numbered(path, 3, 4);
  CHECK(read_file(file) == bytes);

  {
    RowWriter writer(path, columns);
    writer.append({std::string("a"), {}, {}, std::string("images/absent.png")});
    CHECK_THROWS_WITH_AS(writer.finish(), doctest::Contains("absent.png"), Error);
  }
  CHECK(read_all(path).size() == 4);
  CHECK(RowWriter(path, columns).before() == 5);
}

TEST_CASE("a picture's place outside the folder is not written to") {
  const Scratch scratch;
  const fs::path inner = scratch.folder / "inner", outside = scratch.folder / "outside.png";
  write_file_atomically(outside, picture(8));
  {
    RowWriter writer(inner / "x.parquet", {{"Image", Column::Type::image}});
    writer.append({std::string("images/../../outside.png")});
    fs::create_directories(inner / "images");
    writer.finish();
  }
  fs::remove(outside);
  CHECK(RowWriter(inner / "x.parquet", {{"Image", Column::Type::image}}).before() == 1);
  CHECK_FALSE(fs::exists(outside));
}

TEST_CASE("a dataset folder's shards are renamed as they become more") {
  const Scratch scratch;
  const fs::path folder = scratch.folder / "set";
  const RowOptions options{.card = "# Pictures\n", .shard_rows = 4};
  write_numbered(folder, 0, 3, options);
  CHECK(names_in(folder / "data") == std::vector<std::string>{"train-00000-of-00001.parquet"});
  write_numbered(folder, 3, 9, options);
  CHECK(names_in(folder / "data") == std::vector<std::string>{"train-00000-of-00003.parquet",
                                                              "train-00001-of-00003.parquet",
                                                              "train-00002-of-00003.parquet"});
  CHECK(names_in(folder) == std::vector<std::string>{"README.md", "data", "images", "rows.jsonl"});
  const std::string card = read_file(folder / "README.md");
  CHECK(card.find("num_examples: 9\n") != std::string::npos);
  CHECK(card.find("- name: \"Image\"\n    dtype: image\n") != std::string::npos);
  CHECK(card.ends_with("---\n\n# Pictures\n"));
  const Rows rows = read_folder(folder);
  REQUIRE(rows.size() == 9);
  CHECK(rows[8][0] == "prompt 8");

  fs::remove(folder / "rows.jsonl");
  write_numbered(folder, 9, 10, {.shard_bytes = 1});
  CHECK(dataset_shards(folder).size() == 10);
  fs::remove(folder / "rows.jsonl");
  fs::remove(folder / "data" / "train-00004-of-00010.parquet");
  CHECK_THROWS_WITH_AS(RowWriter(folder, columns), doctest::Contains("9 shards"), Error);
}

TEST_CASE("a folder that is not of a dataset is left alone") {
  const Scratch scratch;
  write_file_atomically(scratch.folder / "README.md", "mine");
  CHECK_THROWS_WITH_AS(RowWriter(scratch.folder, columns, {.overwrite = true}),
                       doctest::Contains("README.md"), Error);
  CHECK(names_in(scratch.folder) == std::vector<std::string>{"README.md"});
}

TEST_CASE("killed at any moment, Parquet is whole and no row is lost or doubled") {
  auto* appended = static_cast<volatile std::int64_t*>(mmap(
      nullptr, sizeof(std::int64_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  const Scratch scratch;
  for (const char* name : {"k.parquet", "folder"}) {
    const fs::path path = scratch.folder / name;
    *appended = 0;
    for (int round = 0; round < 25; ++round) {
      const pid_t child = fork();
      if (child == 0) {
        write_for_ever(path, appended);
      }
      usleep(4000 + round * 1700);
      kill(child, SIGKILL);
      waitpid(child, nullptr, 0);
      if (path.extension() == ".parquet" && fs::exists(path)) {
        const Rows rows = read_all(path);
        REQUIRE((rows.empty() || rows.back()[0] == std::to_string(rows.size() - 1)));
      }
      if (path.extension().empty() && fs::exists(path / "data")) {
        for (const auto& shard : fs::directory_iterator(path / "data")) {
          CHECK((shard.path().extension() != ".parquet" || read_all(shard).size() > 0));
        }
      }
    }
    RowWriter writer(path, columns);
    CHECK(writer.before() >= *appended);
    CHECK(writer.before() > 40);
    const auto before = writer.existing();
    for (std::int64_t i = 0; const auto row = before->next(); ++i) {
      REQUIRE(row->at(1) == std::to_string(i));
    }
  }
  munmap(const_cast<std::int64_t*>(appended), sizeof(std::int64_t));
}

TEST_CASE("cut or changed anywhere, a Parquet file is refused by name or read") {
  const Scratch scratch;
  const fs::path path = scratch.folder / "x.parquet", broken = scratch.folder / "broken.parquet";
  write_numbered(path, 0, 20);
  const std::string whole = read_file(path);
  for (std::size_t length = 0; length < whole.size(); length += 97) {
    write_file_atomically(broken, whole.substr(0, length));
    CHECK_THROWS_WITH_AS(RowReader::open(broken),
                         doctest::Contains("broken.parquet is not a whole Parquet file"), Error);
  }
  for (std::uint64_t i = 0; i < 300; ++i) {
    Random random({5, i});
    std::string changed = whole;
    for (int n = 1 + random.below(4); n > 0; --n) {
      changed[random.below(static_cast<int>(changed.size()))] =
          static_cast<char>(random.below(256));
    }
    write_file_atomically(broken, changed);
    try {
      const Rows rows = read_all(broken);
      CHECK(rows.size() < 100000);
    } catch (const Error& error) {
      CHECK((error.kind() == Kind::corrupt || error.kind() == Kind::invalid_argument));
    }
  }
  write_file_atomically(broken, "Prompt,Caption\n");
  CHECK_THROWS_AS(RowReader::open(broken), Error);
  CHECK_THROWS_AS(RowWriter(broken, columns), Error);
  CHECK_THROWS_WITH_AS(RowReader::open(scratch.folder / "absent.parquet"),
                       doctest::Contains("cannot be read"), Error);
}

TEST_CASE("Parquet of other programs: kinds of columns, and those that are no text") {
  const fs::path folder = fs::path(LONGHAND_TESTS) / "io";  // of record_kinds.py
  const auto reader = RowReader::open(folder / "kinds.parquet");
  CHECK(reader->columns() == std::vector<std::string>{"dictionary", "large", "view", "float",
                                                      "byte", "unsigned", "bool", "null", "image",
                                                      "point"});
  CHECK(reader->next() == std::vector<std::string>{"a", "b", "c", "0.1", "-3",
                                                   "18446744073709551615", "true", "", "cat.png",
                                                   ""});
  CHECK(reader->next() == std::vector<std::string>(10));
  CHECK_FALSE(reader->next());
  CHECK_THROWS_WITH_AS(RowReader::open(folder / "list.parquet"),
                       doctest::Contains("the column tags is of type list"), Error);
}

TEST_CASE("where the disk is full, the Parquet that was there stays") {
  const Scratch scratch;
  const fs::path path = scratch.folder / "x.parquet";
  write_numbered(path, 0, 2);
  const std::string before = read_file(path);
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    RowWriter writer(path, columns);
    for (std::int64_t i = 0; i < 100; ++i) {
      writer.append({std::to_string(i), i, 1.0 / static_cast<double>(i + 1),
                     std::string("images/00001.png")});
    }
    const rlimit limit{before.size() + 100, before.size() + 100};
    setrlimit(RLIMIT_FSIZE, &limit);
    try {
      writer.finish();
      _exit(1);
    } catch (const Error& error) {
      _exit(error.kind() == Kind::unavailable ? 0 : 2);
    }
  }
  int status = -1;
  waitpid(child, &status, 0);
  CHECK(status == 0);
  CHECK(read_file(path) == before);
  CHECK(names_in(scratch.folder) ==
        std::vector<std::string>{"images", "x.parquet", "x.parquet.rows.jsonl"});
  CHECK(RowWriter(path, columns).before() == 102);
  CHECK_THROWS_AS(RowWriter("/proc/nothing/x.parquet", columns), Error);
  CHECK_THROWS_AS(RowWriter("/proc/nothing/folder", columns), Error);
}

TEST_CASE("a folder for datasets_test.py") {
  if (const char* folder = std::getenv("LONGHAND_DATASET_OUT")) {
    write_numbered(folder, 0, 7, {.card = "# Pictures", .shard_rows = 3});
    RowWriter writer(folder, columns, {.card = "# Pictures", .shard_rows = 3});
    writer.append({nasty[5] + nasty[3], {}, {}, {}});
    writer.finish();
  }
}
