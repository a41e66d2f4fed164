#include "train/event_file.h"

#include <array>
#include <bit>
#include <chrono>

#include "core/error.h"

namespace longhand {
namespace {

static_assert(std::endian::native == std::endian::little, "protobuf and TFRecord are");

template <class Number>
std::string bytes_of(Number number) {
  const auto bytes = std::bit_cast<std::array<char, sizeof number>>(number);
  return {bytes.begin(), bytes.end()};
}

// The wire format of protocol buffers: a field is its number and wire type, then its value.
std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) {
    bytes += static_cast<char>(value | 0x80);
  }
  return bytes + static_cast<char>(value);
}
std::string field(int number, std::int64_t value) {
  return varint(number << 3 | 0) + varint(static_cast<std::uint64_t>(value));
}
std::string field(int number, double value) { return varint(number << 3 | 1) + bytes_of(value); }
std::string field(int number, float value) { return varint(number << 3 | 5) + bytes_of(value); }
std::string field(int number, std::string_view value) {
  return (varint(number << 3 | 2) + varint(value.size())).append(value);
}

// Fields by number, as the .proto files name them.
namespace event {
constexpr int wall_time = 1, step = 2, file_version = 3, summary = 5, session_log = 7;
}
namespace summary {
constexpr int value = 1, tag = 1, simple_value = 2, image = 4;
}
namespace picture {
constexpr int height = 1, width = 2, colorspace = 3, encoded_image_string = 4;
}
namespace session {
constexpr int status = 1;
constexpr std::int64_t start = 1;
}  // namespace session

constexpr std::array<std::uint32_t, 256> crc32c_table = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) {
      crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78U : 0);
    }
    table[byte] = crc;
  }
  return table;
}();

/// Castagnoli's CRC, rotated and shifted so that a CRC of data with CRCs in it stays a good one.
std::uint32_t masked_crc32c(std::string_view bytes) {
  std::uint32_t crc = ~0U;
  for (const char byte : bytes) {
    crc = crc >> 8 ^ crc32c_table[(crc ^ static_cast<std::uint8_t>(byte)) & 0xFF];
  }
  return std::rotr(~crc, 15) + 0xA282EAD8U;
}

/// TensorBoard reads a folder's files in the order of their names, and those alone that have
/// "tfevents" in them.
fs::path new_file(const fs::path& folder) {
  const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  const auto microseconds =
      std::chrono::duration_cast<std::chrono::microseconds>(since_1970).count();
  fs::create_directories(folder);
  return folder / fmt::format("events.out.tfevents.{:010}.{:06}.longhand", microseconds / 1000000,
                              microseconds % 1000000);
}

}  // namespace

EventFile::EventFile(const fs::path& folder, std::int64_t first_step)
    : path_(new_file(folder)), file_(path_, std::ios::binary) {
  write(0, field(event::file_version, std::string_view("brain.Event:2")));
  write(first_step, field(event::session_log, field(session::status, session::start)));
}

void EventFile::scalars(std::int64_t step, const std::map<std::string, double>& values) {
  std::string all;
  for (const auto& [tag, value] : values) {
    all += field(summary::value, field(summary::tag, tag) +
                                     field(summary::simple_value, static_cast<float>(value)));
  }
  write(step, field(event::summary, all));
}

void EventFile::image(std::int64_t step, const std::string& tag, const Image& image) {
  const std::string encoded = field(picture::height, std::int64_t{image.height}) +
                              field(picture::width, std::int64_t{image.width}) +
                              field(picture::colorspace, std::int64_t{image.channels}) +
                              field(picture::encoded_image_string, encode_png(image));
  const std::string value = field(summary::tag, tag) + field(summary::image, encoded);
  write(step, field(event::summary, field(summary::value, value)));
}

void EventFile::write(std::int64_t step, const std::string& content) {
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  const std::string message =
      field(event::wall_time, now.count()) + field(event::step, step) + content;
  const std::string length = bytes_of(std::uint64_t{message.size()});
  file_ << length << bytes_of(masked_crc32c(length)) << message << bytes_of(masked_crc32c(message))
        << std::flush;
  if (!file_) {
    fail(Kind::unavailable, "cannot write {}: is the disk full?", path_.string());
  }
}

}  // namespace longhand
