// Pictures in memory and on disk: PNG, JPEG, WebP in; PNG with text chunks out. libvips underneath.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/files.h"

namespace longhand {

/// Interleaved 8-bit sRGB: pixels[(y * width + x) * channels + c]; 3 (RGB) or 4 (RGBA, alpha not
/// premultiplied) channels.
struct Image {
  int width = 0;
  int height = 0;
  int channels = 3;
  std::vector<std::uint8_t> pixels;

  Image() = default;
  Image(int width, int height, int channels)
      : width(width),
        height(height),
        channels(channels),
        pixels(static_cast<std::size_t>(width) * height * channels) {}
};

/// Keyword → UTF-8 text, in file order: PNG tEXt/iTXt chunks.
using ImageText = std::vector<std::pair<std::string, std::string>>;

/// Decodes PNG, JPEG or WebP, to RGB or RGBA, EXIF orientation applied. `name` is for messages.
/// Throws corrupt for what is not a whole picture, invalid_argument for over 16384 pixels a side.
Image decode_image(std::string_view bytes, const std::string& name);
Image read_image(const fs::path& path);

/// PNG bytes with text chunks; the same input gives the same bytes.
std::string encode_png(const Image& image, const ImageText& text = {});
/// JPEG or WebP bytes; `parameters`, if any, goes to EXIF UserComment.
std::string encode_jpeg(const Image& image, int quality = 92, const std::string& parameters = {});
std::string encode_webp(const Image& image, int quality = 90, const std::string& parameters = {});

/// A PNG's text chunks. Throws not_found, corrupt.
ImageText read_png_text(const fs::path& path);

/// Lanczos resizing.
Image resize(const Image& image, int width, int height);

/// An SVG drawn at a size, RGBA. Throws corrupt.
Image rasterize_svg(std::string_view svg, int width, int height);
/// The same as large as fits into a square, its proportions kept.
Image rasterize_svg(std::string_view svg, int side);

}  // namespace longhand
