#include "io/image.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <vips/vips8>

#include "core/error.h"

namespace longhand {
namespace {

constexpr int max_side = 16384;
constexpr std::string_view png_signature = "\x89PNG\r\n\x1a\n";

/// libvips, started once; its cache is of no use where each picture is seen once.
void start_vips() {
  static const bool started = [] {
    if (vips_init("longhand") != 0) {
      fail(Kind::internal, "libvips does not start: {}", vips_error_buffer());
    }
    vips_cache_set_max(0);
    vips_concurrency_set(1);
    return true;
  }();
  (void)started;
}

/// vips' message without its line ends.
std::string reason(const vips::VError& error) {
  std::string text = error.what();
  vips_error_clear();
  std::ranges::replace(text, '\n', ' ');
  while (!text.empty() && text.back() == ' ') {
    text.pop_back();
  }
  return text;
}

Image to_image(vips::VImage source, const std::string& name) {
  if (source.width() > max_side || source.height() > max_side) {
    fail(Kind::invalid_argument, "{}: {}x{} pixels; at most {} a side are taken", name,
         source.width(), source.height(), max_side);
  }
  source = source.colourspace(VIPS_INTERPRETATION_sRGB).cast(VIPS_FORMAT_UCHAR);
  if (source.bands() > 4) {
    source = source.extract_band(0, vips::VImage::option()->set("n", 3));
  }
  Image image(source.width(), source.height(), source.bands());
  std::size_t size = 0;
  void* pixels = source.write_to_memory(&size);
  std::memcpy(image.pixels.data(), pixels, std::min(size, image.pixels.size()));
  g_free(pixels);
  return image;
}

vips::VImage from_image(const Image& image) {
  auto* pixels = const_cast<std::uint8_t*>(image.pixels.data());
  return vips::VImage::new_from_memory(pixels, image.pixels.size(), image.width, image.height,
                                       image.channels, VIPS_FORMAT_UCHAR)
      .copy(vips::VImage::option()->set("interpretation", VIPS_INTERPRETATION_sRGB));
}

/// The pixels in a file format; `parameters`, if any, as EXIF UserComment.
std::string encode(const Image& image, const char* suffix, vips::VOption* options,
                   const std::string& parameters) {
  start_vips();
  try {
    vips::VImage source = from_image(image);
    if (!parameters.empty()) {
      source = source.copy();
      source.set("exif-ifd2-UserComment", parameters.c_str());
    }
    void* bytes = nullptr;
    std::size_t size = 0;
    source.write_to_buffer(suffix, &bytes, &size, options);
    std::string result(static_cast<const char*>(bytes), size);
    g_free(bytes);
    return result;
  } catch (const vips::VError& error) {
    fail(Kind::internal, "cannot encode a picture as {}: {}", suffix, reason(error));
  }
}

void append_u32(std::string& bytes, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes += static_cast<char>(value >> shift & 0xff);
  }
}

std::uint32_t read_u32(std::string_view bytes) {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) {
    value = value << 8 | static_cast<std::uint8_t>(bytes[i]);
  }
  return value;
}

/// One iTXt chunk, uncompressed UTF-8 (PNG specification, 11.3.3.4).
std::string text_chunk(const std::string& keyword, const std::string& text) {
  std::string body = "iTXt" + keyword + std::string(5, '\0') + text;
  std::string chunk;
  append_u32(chunk, static_cast<std::uint32_t>(body.size() - 4));
  chunk += body;
  append_u32(chunk, static_cast<std::uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(body.data()),
                                                     static_cast<uInt>(body.size()))));
  return chunk;
}

std::pair<std::string, std::string> parse_text(std::string_view type, std::string_view body) {
  const auto zero = body.find('\0');
  if (zero == std::string_view::npos) {
    return {};
  }
  const std::string keyword(body.substr(0, zero));
  std::string_view rest = body.substr(zero + 1);
  if (type == "tEXt") {
    return {keyword, std::string(rest)};
  }
  if (rest.size() < 2 || rest[0] != 0) {
    return {};  // compressed text is not ours
  }
  rest.remove_prefix(2);
  for (int skipped = 0; skipped < 2; ++skipped) {  // language tag, translated keyword
    const auto end = rest.find('\0');
    if (end == std::string_view::npos) {
      return {};
    }
    rest.remove_prefix(end + 1);
  }
  return {keyword, std::string(rest)};
}

}  // namespace

Image decode_image(std::string_view bytes, const std::string& name) {
  start_vips();
  try {
    auto source = vips::VImage::new_from_buffer(
        bytes.data(), bytes.size(), "", vips::VImage::option()->set("fail_on", VIPS_FAIL_ON_ERROR));
    return to_image(source.autorot(), name);
  } catch (const vips::VError& error) {
    fail(Kind::corrupt, "{} is not a whole PNG, JPEG or WebP picture: {}", name, reason(error));
  }
}

Image read_image(const fs::path& path) { return decode_image(read_file(path), path.string()); }

std::string encode_png(const Image& image, const ImageText& text) {
  std::string png = encode(image, ".png", vips::VImage::option()->set("strip", true), {});
  std::string chunks;
  for (const auto& [keyword, value] : text) {
    chunks += text_chunk(keyword, value);
  }
  constexpr std::size_t after_header = 8 + 25;  // signature and IHDR
  png.insert(after_header, chunks);
  return png;
}

std::string encode_jpeg(const Image& image, int quality, const std::string& parameters) {
  return encode(image, ".jpg", vips::VImage::option()->set("Q", quality), parameters);
}

std::string encode_webp(const Image& image, int quality, const std::string& parameters) {
  return encode(image, ".webp", vips::VImage::option()->set("Q", quality), parameters);
}

ImageText read_png_text(const fs::path& path) {
  const std::string file = read_file(path);
  std::string_view rest = file;
  if (!rest.starts_with(png_signature)) {
    fail(Kind::corrupt, "{} is not a PNG file", path.string());
  }
  rest.remove_prefix(png_signature.size());
  ImageText text;
  while (rest.size() >= 12) {
    const std::uint32_t length = read_u32(rest);
    if (length > rest.size() - 12) {
      fail(Kind::corrupt, "{} is cut off: a chunk of {} bytes passes its end", path.string(),
           length);
    }
    const std::string_view type = rest.substr(4, 4);
    if (type == "tEXt" || type == "iTXt") {
      auto entry = parse_text(type, rest.substr(8, length));
      if (!entry.first.empty()) {
        text.push_back(std::move(entry));
      }
    }
    if (type == "IEND") {
      return text;
    }
    rest.remove_prefix(12 + length);
  }
  fail(Kind::corrupt, "{} is cut off: it has no end mark", path.string());
}

Image resize(const Image& image, int width, int height) {
  start_vips();
  try {
    return to_image(
        from_image(image).thumbnail_image(
            width, vips::VImage::option()->set("height", height)->set("size", VIPS_SIZE_FORCE)),
        "picture");
  } catch (const vips::VError& error) {
    fail(Kind::internal, "cannot resize a picture: {}", reason(error));
  }
}

namespace {

Image rasterized(std::string_view svg, int width, int height, VipsSize fit) {
  start_vips();
  try {
    auto drawn = vips::VImage::thumbnail_buffer(
        vips_blob_new(nullptr, svg.data(), svg.size()), width,
        vips::VImage::option()->set("height", height)->set("size", fit));
    Image image = to_image(drawn, "SVG");
    if (image.channels != 4) {
      fail(Kind::corrupt, "an SVG was drawn without transparency");
    }
    return image;
  } catch (const vips::VError& error) {
    fail(Kind::corrupt, "an SVG cannot be drawn: {}", reason(error));
  }
}

}  // namespace

Image rasterize_svg(std::string_view svg, int width, int height) {
  return rasterized(svg, width, height, VIPS_SIZE_FORCE);
}

Image rasterize_svg(std::string_view svg, int side) {
  return rasterized(svg, side, side, VIPS_SIZE_BOTH);
}

}  // namespace longhand
