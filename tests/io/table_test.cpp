// Tables: what is written comes back, broken rows are named and passed, a killed writer goes on.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>

#include "core/error.h"
#include "core/random.h"
#include "io/table.h"

using namespace longhand;

namespace {

struct Scratch {
  fs::path folder;
  Scratch() {
    std::string name = (fs::temp_directory_path() / "longhand-table-XXXXXX").string();
    folder = mkdtemp(name.data());
  }
  ~Scratch() { fs::remove_all(folder); }
};

const std::vector<Column> columns = {{"Prompt"}, {"Caption"}, {"Seed", Column::Type::whole}};
const std::vector<std::string> nasty = {"plain",      "with, comma", "a \"quoted\" word",
                                        "two\nlines", "tab\there",   "émoji 🐈",
                                        "",           "'",           "\\"};

std::vector<std::vector<std::string>> all_of(RowReader& reader) {
  std::vector<std::vector<std::string>> rows;
  while (auto row = reader.next()) {
    rows.push_back(*row);
  }
  return rows;
}

std::vector<std::vector<std::string>> read_all(const fs::path& path) {
  return all_of(*RowReader::open(path));
}

void write(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

}  // namespace

TEST_CASE("what is written comes back, and a second writer goes on after it") {
  const Scratch scratch;
  for (const char* ending : {"x.csv", "x.tsv", "x.jsonl"}) {
    const fs::path path = scratch.folder / ending;
    for (int half = 0; half < 2; ++half) {
      RowWriter writer(path, columns, {.text_column = "Caption"});
      CHECK(writer.before() == (half == 0 ? 0 : std::ssize(nasty)));
      for (const std::string& text : nasty) {
        writer.append({text + "p", text, std::int64_t{7}});
      }
    }
    const auto rows = all_of(*RowWriter(path, columns, {.text_column = "Caption"}).existing());
    REQUIRE(rows.size() == 2 * nasty.size());
    for (std::size_t i = 0; i < nasty.size(); ++i) {
      CHECK(rows[i][1] == nasty[i]);
      CHECK(rows[i][2] == "7");
    }
    CHECK(read_all(path).size() == 2 * nasty.size());
    CHECK_THROWS_AS(RowWriter(path, {{"Other"}}), Error);
    CHECK(RowWriter(path, {{"Other"}}, {.overwrite = true}).before() == 0);
  }
}

TEST_CASE("an unfinished last row is dropped") {
  const Scratch scratch;
  const fs::path path = scratch.folder / "x.csv";
  write(path, "Prompt,Caption,Seed\na,b,1\nc,\"d\nhalf");
  RowWriter writer(path, columns, {.text_column = "Caption"});
  CHECK(writer.before() == 1);
  writer.append({std::string("c"), std::string("d"), std::int64_t{2}});
  CHECK(read_all(path) == std::vector<std::vector<std::string>>{{"a", "b", "1"}, {"c", "d", "2"}});
}

TEST_CASE("an empty line is a row of a text file, too") {
  const Scratch scratch;
  const fs::path path = scratch.folder / "x.txt";
  for (const int before : {0, 3}) {
    RowWriter writer(path, {{"Caption"}}, {.text_column = "Caption"});
    CHECK(writer.before() == before);
    for (const char* caption : {"a cat", "", "a dog"}) {
      writer.append({std::string(caption)});
    }
  }
  CHECK(read_file(path) == "a cat\n\na dog\na cat\n\na dog\n");
}

TEST_CASE("killed at any moment, no row that was appended is lost or doubled") {
  const Scratch scratch;
  for (const char* ending : {"k.csv", "k.jsonl"}) {
    const fs::path path = scratch.folder / ending;
    for (int round = 0; round < 12; ++round) {
      const pid_t child = fork();
      if (child == 0) {
        RowWriter writer(path, columns, {.text_column = "Caption"});
        for (std::int64_t i = writer.before();; ++i) {
          writer.append({std::to_string(i), std::string("two\nlines"), i});
        }
      }
      usleep(3000 + round * 700);
      kill(child, SIGKILL);
      waitpid(child, nullptr, 0);
    }
    const auto rows = read_all(path);
    CHECK(rows.size() > 12);
    const RowWriter writer(path, columns, {.text_column = "Caption"});
    REQUIRE(writer.before() == std::ssize(rows));
    const auto before = all_of(*writer.existing());
    for (std::size_t i = 0; i < before.size(); ++i) {
      REQUIRE(before[i][0] == std::to_string(i));
    }
  }
}

TEST_CASE("a broken row is named, and the rows after it are read") {
  const Scratch scratch;
  const fs::path csv = scratch.folder / "x.csv";
  write(csv,
        "\xef\xbb\xbfPrompts,Category\r\na cat,Animals\r\nonly one\n\"b "
        "\"\"c\"\"\",d\n\"x\"y,z\nlast,row\n");
  auto reader = RowReader::open(csv);
  CHECK(reader->columns() == std::vector<std::string>{"Prompts", "Category"});
  CHECK(reader->next()->at(0) == "a cat");
  CHECK_THROWS_WITH_AS(reader->next(), doctest::Contains("row 2"), Error);
  CHECK(reader->next()->at(0) == "b \"c\"");
  CHECK(reader->next()->at(0) == "xy");
  CHECK(reader->next()->at(0) == "last");
  CHECK_FALSE(reader->next());

  const fs::path open = scratch.folder / "open.csv";
  write(open, "a,b\n\"never closed,1\n2,3\n");
  reader = RowReader::open(open);
  CHECK_THROWS_WITH_AS(reader->next(), doctest::Contains("row 1"), Error);
  CHECK(reader->next()->at(0) == "2");

  const fs::path jsonl = scratch.folder / "x.jsonl";
  write(jsonl, "{\"prompt\":\"a\",\"n\":3}\n{broken\n\n[1]\n{\"prompt\":\"b\"}\n");
  reader = RowReader::open(jsonl);
  CHECK(reader->columns()[prompt_column(*reader, "")] == "prompt");
  CHECK(reader->next()->at(0) == "3");
  CHECK_THROWS_WITH_AS(reader->next(), doctest::Contains("row 2"), Error);
  CHECK_THROWS_WITH_AS(reader->next(), doctest::Contains("row 4"), Error);
  CHECK(reader->next()->at(1) == "b");
  CHECK_FALSE(reader->next());
}

TEST_CASE("the project's own prompts") {
  CHECK(read_all(resolve_prompts("drawbench")).size() == 200);
  CHECK(read_all(resolve_prompts("parti")).size() > 1600);
  CHECK(read_all(resolve_prompts("geneval")).size() == 553);
  const auto reader = RowReader::open(resolve_prompts("drawbench"));
  CHECK(prompt_column(*reader, "") == 0);
  CHECK_THROWS_WITH_AS(prompt_column(*reader, "Nope"), doctest::Contains("Category"), Error);
}

TEST_CASE("files that cannot be read or written") {
  const Scratch scratch;
  CHECK_THROWS_AS(RowReader::open(scratch.folder / "absent.csv"), Error);
  write(scratch.folder / "x.doc", "a");
  CHECK_THROWS_WITH_AS(RowReader::open(scratch.folder / "x.doc"), doctest::Contains(".doc"), Error);
  write(scratch.folder / "empty.csv", "");
  CHECK_THROWS_AS(RowReader::open(scratch.folder / "empty.csv"), Error);
  CHECK_THROWS_AS(RowWriter("/proc/nothing/x.jsonl", columns, {.text_column = "Caption"}), Error);
  fs::create_symlink("/dev/full", scratch.folder / "full.jsonl");
  RowWriter full(scratch.folder / "full.jsonl", columns, {.text_column = "Caption"});
  CHECK_THROWS_WITH_AS(full.append({std::string("a")}), doctest::Contains("No space left"), Error);
}

TEST_CASE("random bytes never do worse than an error") {
  const Scratch scratch;
  for (std::uint64_t i = 0; i < 400; ++i) {
    Random random({8, i});
    std::string bytes;
    for (int n = random.below(200); n > 0; --n) {
      bytes +=
          random.chance(0.4) ? "\",\n{}:"[random.below(7)] : static_cast<char>(random.below(256));
    }
    for (const char* name : {"f.csv", "f.jsonl", "f.txt"}) {
      write(scratch.folder / name, bytes);
      try {
        const auto reader = RowReader::open(scratch.folder / name);
        for (int rows = 0; rows < 1000; ++rows) {
          try {
            if (!reader->next()) {
              break;
            }
          } catch (const Error&) {
          }
          REQUIRE(rows < 999);
        }
      } catch (const Error&) {
      }
    }
  }
}

TEST_CASE("a file that is not of this table is left as it is") {
  const Scratch scratch;
  for (const auto& [name, text] :
       std::vector<std::pair<const char*, const char*>>{{"a.csv", "Prompts,Category\na cat,x"},
                                                        {"b.csv", "one line"},
                                                        {"c.jsonl", "{\"other\": 1"},
                                                        {"d.txt", "a red car"}}) {
    write(scratch.folder / name, text);
    CHECK_THROWS_AS(RowWriter(scratch.folder / name, columns, {.text_column = "Caption"}), Error);
    CHECK(read_file(scratch.folder / name) == text);
  }
  write(scratch.folder / "e.jsonl", "{\"Prompt\":\"a\",\"Capt");  // our own first row, cut off
  CHECK(RowWriter(scratch.folder / "e.jsonl", columns, {.text_column = "Caption"}).before() == 0);
}

TEST_CASE("one run at a time writes a table") {
  const Scratch scratch;
  const RowWriter first(scratch.folder / "x.jsonl", columns, {.text_column = "Caption"});
  CHECK_THROWS_WITH_AS(RowWriter(scratch.folder / "x.jsonl", columns, {.text_column = "Caption"}),
                       doctest::Contains("another run"), Error);
}

TEST_CASE("byte order marks, line ends of other systems, and lines before the first whole one") {
  const Scratch scratch;
  const fs::path csv = scratch.folder / "x.csv";
  write(csv, "\xef\xbb\xbf\"Prompt\",\"Caption\",\"Seed\"\r\n\"a\r\nb\",c,1\r\n");
  CHECK(RowReader::open(csv)->columns() == std::vector<std::string>{"Prompt", "Caption", "Seed"});
  CHECK(read_all(csv) == std::vector<std::vector<std::string>>{{"a\r\nb", "c", "1"}});
  write(scratch.folder / "x.txt",
        "\xef\xbb\xbf"
        "a cat\n");
  CHECK(read_all(scratch.folder / "x.txt")[0][0] == "a cat");
  const fs::path jsonl = scratch.folder / "x.jsonl";
  write(jsonl, "{broken\n{\"prompt\":\"a\"}\n");
  const auto reader = RowReader::open(jsonl);
  CHECK_THROWS_WITH_AS(reader->next(), doctest::Contains("row 1"), Error);
  CHECK(reader->next()->at(0) == "a");
}

TEST_CASE("a dataset's folder is read: its journal, or its shards") {
  const Scratch scratch;
  const fs::path folder = scratch.folder / "set";
  CHECK_THROWS_WITH_AS(RowReader::open(scratch.folder), doctest::Contains("no dataset"), Error);
  {
    RowWriter writer(folder, columns, {.shard_rows = 2});
    for (std::int64_t i = 0; i < 5; ++i) {
      writer.append({"prompt " + std::to_string(i), "caption", i});
    }
    writer.finish();
  }
  // Its columns are those of JSON, in the alphabet's order.
  CHECK(prompt_column(*RowReader::open(folder), "") == 1);
  CHECK(read_all(folder).size() == 5);
  fs::remove(folder / "rows.jsonl");
  const auto rows = read_all(folder);
  REQUIRE(rows.size() == 5);
  CHECK(rows[4] == std::vector<std::string>{"prompt 4", "caption", "4"});
  fs::remove(folder / "data" / "train-00001-of-00003.parquet");
  CHECK_THROWS_WITH_AS(RowReader::open(folder), doctest::Contains("shards"), Error);
}

TEST_CASE("an open quotation mark at the head of a large file is found in one pass") {
  const Scratch scratch;
  std::string text = "Prompt,Caption,Seed\n\"open,b,1\n";
  for (int i = 0; i < 100000; ++i) {
    text += "a prompt of some words,b,2\n";
  }
  write(scratch.folder / "x.csv", text);
  const auto reader = RowReader::open(scratch.folder / "x.csv");
  CHECK_THROWS_WITH_AS(reader->next(), doctest::Contains("row 1"), Error);
  CHECK(reader->next()->at(0) == "a prompt of some words");
}
