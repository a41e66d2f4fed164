#include "pipeline/strokes.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "core/error.h"
#include "pipeline/compositing.h"

namespace longhand {
namespace {

constexpr int largest_kernel = 999;
constexpr std::size_t samples = 1 << 16;  // pixels that a palette is made from
constexpr int rounds = 10;                // of k-means

/// 23 pixels at 256, in proportion, and odd.
int kernel_for(const Image& photo) {
  const int side = std::min(photo.width, photo.height);
  return std::clamp(static_cast<int>(std::lround(side * 23.0 / 256 - 1) / 2 * 2 + 1), 1,
                    largest_kernel);
}

std::vector<Colour> sampled(const Image& picture) {
  const std::size_t count = picture.pixels.size() / 3;
  const std::size_t stride = std::max<std::size_t>(1, count / samples);
  std::vector<Colour> colours;
  for (std::size_t i = 0; i < count; i += stride) {
    const std::uint8_t* pixel = &picture.pixels[i * 3];
    colours.push_back({pixel[0], pixel[1], pixel[2]});
  }
  return colours;
}

/// Colours that are not divided yet: the channel in which they differ most, and how much.
struct Box {
  std::span<Colour> colours;
  std::size_t channel = 0;
  int range = 0;

  explicit Box(std::span<Colour> all) : colours(all) {
    for (std::size_t c = 0; c < 3; ++c) {
      const auto of_channel = [c](const Colour& colour) { return colour[c]; };
      const auto [low, high] = std::ranges::minmax(all, {}, of_channel);
      if (high[c] - low[c] > range) {
        range = high[c] - low[c];
        channel = c;
      }
    }
  }
};

Colour mean(std::span<const Colour> colours) {
  std::array<double, 3> sum = {};
  for (const Colour& colour : colours) {
    for (std::size_t c = 0; c < 3; ++c) {
      sum[c] += colour[c];
    }
  }
  Colour result;
  for (std::size_t c = 0; c < 3; ++c) {
    result[c] =
        static_cast<std::uint8_t>(std::lround(sum[c] / static_cast<double>(colours.size())));
  }
  return result;
}

/// The box with the largest range is divided at its median, until there are enough.
std::vector<Colour> median_cut(std::vector<Colour>& colours, std::size_t count) {
  std::vector<Box> boxes = {Box(colours)};
  while (boxes.size() < count) {
    const auto widest = std::ranges::max_element(boxes, {}, &Box::range);
    if (widest->range == 0) {
      break;
    }
    const Box box = *widest;
    const auto by_channel = [&](const Colour& colour) { return colour[box.channel]; };
    std::ranges::sort(box.colours, {}, by_channel);
    // Equal values stay together, on the side that leaves neither empty.
    const auto middle = box.colours[box.colours.size() / 2][box.channel];
    auto cut = std::ranges::lower_bound(box.colours, middle, {}, by_channel);
    if (cut == box.colours.begin()) {
      cut = std::ranges::upper_bound(box.colours, middle, {}, by_channel);
    }
    *widest = Box({box.colours.begin(), cut});
    boxes.emplace_back(std::span<Colour>(cut, box.colours.end()));
  }
  std::vector<Colour> palette;
  for (const Box& box : boxes) {
    palette.push_back(mean(box.colours));
  }
  return palette;
}

std::size_t nearest(const std::vector<Colour>& palette, const Colour& colour) {
  const auto distance = [&](const Colour& other) {
    int sum = 0;
    for (std::size_t c = 0; c < 3; ++c) {
      sum += (colour[c] - other[c]) * (colour[c] - other[c]);
    }
    return sum;
  };
  return static_cast<std::size_t>(std::ranges::min_element(palette, {}, distance) -
                                  palette.begin());
}

}  // namespace

/// A histogram slides along each row (Huang et al. 1979). libvips 8.14's own median is not used:
/// its histogram takes in the window's last column twice.
Image median(const Image& picture, int size) {
  const int radius = size / 2, middle = size * size / 2;
  Image result(picture.width, picture.height, 3);
  const auto index = [&](int x, int y, int c) {
    x = std::clamp(x, 0, picture.width - 1);
    y = std::clamp(y, 0, picture.height - 1);
    return (static_cast<std::size_t>(y) * picture.width + x) * 3 + c;
  };
  for (int row = 0; row < 3 * picture.height; ++row) {
    const int y = row / 3, c = row % 3;
    std::array<int, 256> histogram = {};
    const auto count_column = [&](int x, int change) {
      for (int dy = -radius; dy <= radius; ++dy) {
        histogram[picture.pixels[index(x, y + dy, c)]] += change;
      }
    };
    for (int x = -radius; x <= radius; ++x) {
      count_column(x, 1);
    }
    for (int x = 0; x < picture.width; ++x) {
      int value = 0;
      for (int seen = histogram[0]; seen <= middle; seen += histogram[value]) {
        ++value;
      }
      result.pixels[index(x, y, c)] = static_cast<std::uint8_t>(value);
      count_column(x - radius, -1);
      count_column(x + radius + 1, 1);
    }
  }
  return result;
}

std::vector<Colour> palette_of(const Image& picture, int count) {
  if (count < 1 || count > 256) {
    fail(Kind::invalid_argument, "{} colours; expected 1 to 256", count);
  }
  std::vector<Colour> colours = sampled(picture);
  std::vector<Colour> palette = median_cut(colours, static_cast<std::size_t>(count));
  for (int round = 0; round < rounds; ++round) {
    std::vector<std::vector<Colour>> groups(palette.size());
    for (const Colour& colour : colours) {
      groups[nearest(palette, colour)].push_back(colour);
    }
    for (std::size_t i = 0; i < palette.size(); ++i) {
      palette[i] = groups[i].empty() ? palette[i] : mean(groups[i]);
    }
  }
  return palette;
}

Image quantised(const Image& picture, const std::vector<Colour>& palette) {
  Image result = picture;
  for (std::size_t i = 0; i < result.pixels.size(); i += 3) {
    const Colour colour = {result.pixels[i], result.pixels[i + 1], result.pixels[i + 2]};
    std::ranges::copy(palette[nearest(palette, colour)], result.pixels.begin() + i);
  }
  return result;
}

Image strokes_of(const Image& photo, const StrokeOptions& options) {
  const int kernel = options.kernel.value_or(kernel_for(photo));
  if (kernel < 1 || kernel > largest_kernel || kernel % 2 == 0) {
    fail(Kind::invalid_argument, "a kernel of {} pixels; expected an odd number, 1 to {}", kernel,
         largest_kernel);
  }
  const Image smooth = median(flattened(photo), kernel);
  return quantised(smooth, palette_of(smooth, options.colours));
}

}  // namespace longhand
