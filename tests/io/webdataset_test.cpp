// Tar files as tables: written, read, resumed, broken; and those that Python's tarfile writes.
#include "io/webdataset.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <fstream>
#include <map>

#include "core/error.h"
#include "io/tar.h"

using namespace longhand;

namespace {

using Strings = std::vector<std::string>;

struct Folder {
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
  fs::path path = fs::temp_directory_path() / fmt::format("webdataset-{}", getpid());
};

const std::vector<Column> columns = {
    {"Prompt"}, {"Upsampled Prompt"}, {"Tokens", Column::Type::whole}};
const RowOptions options = {.text_column = "Upsampled Prompt"};

void append(RowWriter& writer, int row) {
  writer.append({fmt::format("cat {}", row), "a \"cat\"\nin the sun", std::int64_t{row}});
}

std::vector<Strings> rows_of(const fs::path& path) {
  const auto reader = RowReader::open(path);
  std::vector<Strings> rows;
  while (auto row = reader->next()) {
    rows.push_back(std::move(*row));
  }
  return rows;
}

void write_tar(const fs::path& path, const std::vector<std::pair<std::string, std::string>>& all) {
  std::ofstream out(path, std::ios::binary);
  TarWriter tar(out);
  for (const auto& [name, bytes] : all) {
    tar.add(name, bytes);
  }
  tar.close();
}

}  // namespace

TEST_CASE("rows are samples, and a second writer goes on after them") {
  const Folder folder;
  const fs::path path = folder.path / "captions.tar";
  for (int part = 0; part < 2; ++part) {
    RowWriter writer(path, columns, options);
    CHECK(writer.before() == 2 * part);
    append(writer, 2 * part);
    append(writer, 2 * part + 1);
    writer.finish();
    CHECK_FALSE(fs::exists(path.string() + ".rows.jsonl"));
  }
  CHECK(RowReader::open(path)->columns() ==
        Strings{"__key__", "Prompt", "Upsampled Prompt", "Tokens", "txt"});
  const auto rows = rows_of(path);
  REQUIRE(rows.size() == 4);
  CHECK(rows[3] ==
        Strings{"000000003", "cat 3", "a \"cat\"\nin the sun", "3", "a \"cat\"\nin the sun"});
}

TEST_CASE("killed before finish, the journal goes on") {
  const Folder folder;
  const fs::path path = folder.path / "captions.tar";
  {
    RowWriter writer(path, columns, options);
    append(writer, 0);
  }
  CHECK_FALSE(fs::exists(path));
  RowWriter writer(path, columns, options);
  CHECK(writer.before() == 1);
  append(writer, 1);
  writer.finish();
  CHECK(rows_of(path).size() == 2);
}

TEST_CASE("a picture lies in its sample") {
  const Folder folder;
  write_file_atomically(folder.path / "cat.png", "PNG");
  RowWriter writer(folder.path / "pictures.tar", {{"Image", Column::Type::image}, {"Caption"}},
                   {.text_column = "Caption"});
  writer.append({"cat.png", "a cat"});
  writer.finish();
  TarReader tar(folder.path / "pictures.tar");
  std::map<std::string, std::string> members;
  while (const auto member = tar.next()) {
    members[member->name] = tar.read(1000);
  }
  CHECK(members == std::map<std::string, std::string>{
                       {"000000000.json", R"({"Image":"cat.png","Caption":"a cat"})"},
                       {"000000000.png", "PNG"},
                       {"000000000.txt", "a cat"}});
}

TEST_CASE("samples of other programs; shards in a folder are one table") {
  const Folder folder;
  const fs::path shards = folder.path / "shards";
  fs::create_directories(shards);
  write_tar(shards / "0.tar", {{"README", "no key"},
                               {"./a/7.jpg", "…"},
                               {"./a/7.txt", "a cat"},
                               {"./a/7.seg.png", "…"},
                               {"./a/8.txt", "a dog"},
                               {"./a/9.jpg", "no text"}});
  const std::string long_key = std::string(80, 'f') + "/" + std::string(80, 'k');
  write_tar(shards / "1.tar", {{long_key + ".txt", "a cow"}});
  const auto reader = RowReader::open(shards);
  CHECK(reader->columns() == Strings{"__key__", "txt"});
  CHECK(prompt_column(*reader, "") == 1);
  CHECK(rows_of(shards) ==
        std::vector<Strings>{
            {"./a/7", "a cat"}, {"./a/8", "a dog"}, {"./a/9", ""}, {long_key, "a cow"}});
}

TEST_CASE("broken files and samples") {
  const Folder folder;
  const fs::path path = folder.path / "broken.tar";
  write_tar(path, {{"1.json", R"({"caption":"a cat"})"}, {"2.json", "{"}, {"3.json", "{}"}});
  const auto reader = RowReader::open(path);
  CHECK(reader->next() == Strings{"1", "a cat"});
  CHECK_THROWS_WITH_AS(reader->next(),
                       doctest::Contains("sample 2: its .json is not a JSON object"), Error);
  CHECK(reader->next() == Strings{"3", ""});
  CHECK_FALSE(reader->next());

  const std::string whole = read_file(path);
  for (std::size_t cut : {std::size_t{0}, std::size_t{100}, std::size_t{700}}) {
    write_file_atomically(path, whole.substr(0, cut));
    CHECK_THROWS_WITH_AS(RowReader::open(path), doctest::Contains("broken.tar"), Error);
  }
  write_tar(path, {{"README", "none"}});
  CHECK_THROWS_WITH_AS(RowReader::open(path), doctest::Contains("has no samples"), Error);
  write_tar(path, {{"1.txt", std::string((16 << 20) + 1, 'a')}});
  CHECK_THROWS_WITH_AS(RowReader::open(path), doctest::Contains("has over"), Error);
}

TEST_CASE("a file that breaks off ends once it has said so") {
  const Folder folder;
  const fs::path path = folder.path / "half.tar";
  const std::string text(5000, 'a');
  write_tar(path, {{"1.txt", text}, {"2.txt", text}, {"3.txt", text}});
  write_file_atomically(path, read_file(path).substr(0, 8000));  // within the second one
  const auto reader = RowReader::open(path);
  CHECK(reader->next() == Strings{"1", text});
  CHECK_THROWS_WITH_AS(reader->next(), doctest::Contains("no whole tar file"), Error);
  CHECK_FALSE(reader->next());
}

TEST_CASE("what is too large, and shards of other columns, are passed over") {
  const Folder folder;
  const fs::path shards = folder.path / "shards";
  fs::create_directories(shards);
  const std::string large((16 << 20) + 1, 'a');
  write_tar(shards / "0.tar",
            {{"1.txt", "a cat"}, {"2.txt", large}, {"2.cls", "7"}, {"3.txt", "a dog"}});
  write_tar(shards / "1.tar", {{"4.json", R"({"url":"…","caption":"a cow"})"}});
  write_tar(shards / "2.tar", {{"5.txt", "a pig"}});
  const auto reader = RowReader::open(shards);
  CHECK(reader->next() == Strings{"1", "a cat"});
  CHECK_THROWS_WITH_AS(reader->next(), doctest::Contains("has over"), Error);
  CHECK(reader->next() == Strings{"3", "a dog"});
  CHECK_THROWS_WITH_AS(reader->next(), doctest::Contains("other columns"), Error);
  CHECK(reader->next() == Strings{"5", "a pig"});
  CHECK_FALSE(reader->next());
}

TEST_CASE("a tar file of another job is left as it is") {
  const Folder folder;
  const fs::path path = folder.path / "other.tar";
  write_tar(path, {{"1.json", R"({"caption":"a cat"})"}});
  const std::string before = read_file(path);
  CHECK_THROWS_WITH_AS(RowWriter(path, columns, options), doctest::Contains("no row of this"),
                       Error);
  CHECK(read_file(path) == before);
}
