// core/: random streams, atomic files, fields declared once, errors.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>

#include "core/error.h"
#include "core/fields.h"
#include "core/files.h"
#include "core/progress.h"
#include "core/random.h"

using namespace longhand;

namespace {

fs::path scratch() {
  static const fs::path folder = [] {
    std::string name = (fs::temp_directory_path() / "longhand-core-XXXXXX").string();
    return fs::path(mkdtemp(name.data()));
  }();
  return folder;
}

struct Sample {
  std::string name = "cat";
  int steps = 25;
  double guidance = 5;
  bool fast = false;
  Size size = {128, 96};
  std::optional<std::int64_t> seed;
  static constexpr auto fields = std::tuple{field("name", &Sample::name, ""),
                                            field("steps", &Sample::steps, "", 1, 100),
                                            field("guidance", &Sample::guidance, "", 0, 30),
                                            field("fast", &Sample::fast, ""),
                                            field("size", &Sample::size, ""),
                                            field("seed", &Sample::seed, "")};
};

}  // namespace

TEST_CASE("a random stream follows from its keys alone") {
  Random a({1, 2, 3}), b({1, 2, 3}), c({1, 3, 2});
  const auto first = a();
  CHECK(first == b());
  CHECK(first != c());
  double sum = 0;
  for (int i = 0; i < 20000; ++i) {
    const double u = a.uniform();
    REQUIRE((u >= 0 && u < 1));
    sum += u;
    REQUIRE(a.below(7) < 7);
  }
  CHECK(sum / 20000 == doctest::Approx(0.5).epsilon(0.02));
}

TEST_CASE("a file is replaced whole or left as it was") {
  const fs::path path = scratch() / "deep" / "file.txt";
  write_file_atomically(path, "old");
  write_file_atomically(path, "new");
  CHECK(read_file(path) == "new");
  CHECK_THROWS_AS(read_file(scratch() / "absent"), Error);
  CHECK_THROWS_AS(read_file(path, 2), Error);
  CHECK_THROWS_AS(write_file_atomically(path / "below-a-file", "x"), Error);
  CHECK(read_file(path) == "new");
  int left = 0;
  for (const auto& entry : fs::directory_iterator(path.parent_path())) {
    left += entry.is_regular_file() ? 1 : 0;
  }
  CHECK(left == 1);
}

TEST_CASE("a folder holds what was made in one way") {
  const fs::path folder = fs::temp_directory_path() / fmt::format("longhand-claim-{}", getpid());
  claim_folder(folder / "about.json", "seed 1");
  claim_folder(folder / "about.json", "seed 1");
  CHECK_THROWS_WITH_AS(claim_folder(folder / "about.json", "seed 2"),
                       doctest::Contains("seed 1, not seed 2"), Error);
  fs::remove_all(folder);
}

TEST_CASE("fields go to JSON and back") {
  Sample sample;
  sample.seed = 7;
  sample.fast = true;
  const auto json = request_to_json(sample);
  CHECK(json["size"] == "128x96");
  const auto back = request_from_json<Sample>(json);
  CHECK(request_to_json(back) == json);
  CHECK_FALSE(request_to_json(Sample{}).contains("seed"));
}

TEST_CASE("fields refuse what does not fit, by name") {
  CHECK_THROWS_WITH_AS(request_from_json<Sample>({{"steps", 0}}), doctest::Contains("steps"),
                       Error);
  CHECK_THROWS_WITH_AS(request_from_json<Sample>({{"steps", "x"}}), doctest::Contains("steps"),
                       Error);
  CHECK_THROWS_AS(request_from_json<Sample>({{"size", "12by9"}}), Error);
  int number = 0;
  CHECK_THROWS_WITH_AS(parse_value("steps", "12x", number), doctest::Contains("--steps 12x"),
                       Error);
  double real = 0;
  CHECK_THROWS_AS(parse_value("guidance", "nan", real), Error);
}

TEST_CASE("errors have exit codes and statuses") {
  CHECK(exit_code(Kind::invalid_argument) == 2);
  CHECK(exit_code(Kind::cancelled) == 130);
  CHECK(http_status(Kind::invalid_argument) == 400);
  CHECK(http_status(Kind::not_found) == 404);
}

TEST_CASE("times as people say them") {
  CHECK(human_time(4.24) == "4.2s");
  CHECK(human_time(185) == "3m05s");
  CHECK(human_time(3720) == "1h02m");
}
