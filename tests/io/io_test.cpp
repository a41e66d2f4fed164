// io/: safetensors headers that lie, pictures and their text.
#include <doctest/doctest.h>

#include <cstring>

#include "core/error.h"
#include "core/random.h"
#include "io/image.h"
#include "io/safetensors.h"

using namespace longhand;

namespace {

std::string file_of(const std::string& header, std::size_t data) {
  const std::uint64_t size = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &size, 8);
  return bytes + header + std::string(data, '\1');
}

auto parse(const std::string& bytes) {
  return Safetensors::parse({reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()},
                            "x.safetensors", nullptr);
}

Image noise(int width, int height, int channels) {
  Image image(width, height, channels);
  Random random({1});
  for (auto& pixel : image.pixels) {
    pixel = static_cast<std::uint8_t>(random.below(256));
  }
  return image;
}

}  // namespace

TEST_CASE("a good safetensors header") {
  const auto tensors =
      parse(file_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8));
  CHECK(tensors.at("a").bytes.size() == 8);
}

TEST_CASE("safetensors headers that lie are refused") {
  const auto entry = [](const std::string& fields) {
    return file_of("{\"a\":{" + fields + "}}", 8);
  };
  for (const std::string& bytes :
       {std::string(), std::string("1234567"), std::string("\xff\xff\xff\xff\xff\xff\xff\xff{}"),
        file_of("[1]", 0), file_of("{\"a\":1}", 0), file_of("{\"a\":{}", 0),
        entry(R"("dtype":"F99","shape":[2],"data_offsets":[0,8])"),
        entry(R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])"),
        entry(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])"),
        entry(R"("dtype":"F32","shape":[2],"data_offsets":[8,16])"),
        entry(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])"),
        entry(R"("dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,8])"),
        entry(R"("dtype":"F32","shape":[2],"data_offsets":[0])")}) {
    CHECK_THROWS_AS(parse(bytes), Error);
  }
}

TEST_CASE("cut anywhere, a safetensors file is refused and not read past its end") {
  const std::string whole = file_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    CHECK_THROWS_AS(parse(whole.substr(0, length)), Error);
  }
}

TEST_CASE("PNG keeps pixels and text") {
  const fs::path path = fs::temp_directory_path() / "longhand-io-test.png";
  const ImageText text = {{"parameters", "a cat\nSteps: 25"}, {"longhand", "{\"é\": \"猫\"}"}};
  for (const int channels : {3, 4}) {
    const Image image = noise(17, 9, channels);
    const std::string png = encode_png(image, text);
    CHECK(png == encode_png(image, text));
    write_file_atomically(path, png);
    const Image back = read_image(path);
    CHECK(back.channels == channels);
    CHECK(back.pixels == image.pixels);
    CHECK(read_png_text(path) == text);
  }
  fs::remove(path);
}

TEST_CASE("a picture that is cut off is refused") {
  const std::string png = encode_png(noise(64, 64, 3));
  CHECK_THROWS_WITH_AS(decode_image(png.substr(0, png.size() / 2), "half.png"),
                       doctest::Contains("half.png"), Error);
  CHECK_THROWS_AS(decode_image("not a picture", "x"), Error);
}

TEST_CASE("SVG becomes RGBA of the size asked for") {
  const Image image = rasterize_svg(
      R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 2 2"><rect width="1" height="2" fill="#f00"/></svg>)",
      20, 20);
  CHECK(image.width == 20);
  CHECK(image.channels == 4);
  CHECK(image.pixels[3] == 255);
  CHECK(image.pixels[19 * 4 + 3] == 0);
  CHECK_THROWS_AS(rasterize_svg("<svg", 8, 8), Error);
}
