// Sprites: things drawn in several styles, rasterised once, recoloured and resized as scenes need
// them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "io/image.h"

namespace longhand {

/// Premultiplied sRGB with alpha in 0…1: pixels[(y * width + x) * 4 + c].
struct Sprite {
  int width = 0;
  int height = 0;
  std::vector<float> pixels;

  Sprite() = default;
  Sprite(int width, int height)
      : width(width), height(height), pixels(static_cast<std::size_t>(width) * height * 4) {}
  float* at(int x, int y) { return &pixels[(static_cast<std::size_t>(y) * width + x) * 4]; }
  const float* at(int x, int y) const {
    return &pixels[(static_cast<std::size_t>(y) * width + x) * 4];
  }
};

/// RGBA, alpha not premultiplied: a cut-out.
Image cutout_of(const Sprite& sprite);

/// Which of a sprite's colours are its body's, so that a colour word changes those and leaves eyes,
/// wheels and leaves.
struct Body {
  std::vector<float> hues;  // degrees in OKLab, of the clusters that belong to it
  bool dark = false, gray = false, white = false;
  float lightness = 0;  // the body's mean, in OKLab
};

/// The classes of colour that cover the most of a sprite, as many as make up a share of it.
Body find_body(const Sprite& sprite, double share);

/// Gives a sprite's body the colour of a word, its shading kept. Throws invalid_argument.
void recolour(Sprite& sprite, const Body& body, const std::string& colour);

/// The colour words, in the order that World::colours() gives.
const std::vector<std::string>& colour_words();

/// Sprites from data/sprites: style → thing → sprite, cropped to what is drawn.
class SpriteSet {
 public:
  /// Rasterises what a world needs. Throws not_found, corrupt; invalid_argument for a style.
  SpriteSet(const std::vector<std::string>& things, std::vector<std::string> styles);
  /// "animal", "flyer", "food"…
  const std::string& kind(const std::string& thing) const;
  /// Width over height.
  double aspect(const std::string& thing, const std::string& style) const;
  /// How far below its upper edge, as a share of its height, something put on its middle rests.
  double rest(const std::string& thing, const std::string& style) const;
  /// A thing, width by height pixels; colour is "" or a word. Throws invalid_argument.
  Sprite drawn(const std::string& thing, const std::string& style, const std::string& colour,
               int width, int height) const;

 private:
  struct Master {
    Sprite sprite;
    Body body;
    double rest;
  };
  void load(const std::string& style, const std::vector<std::string>& things);
  const Master& master(const std::string& thing, const std::string& style) const;

  std::vector<std::string> styles_;
  std::map<std::string, std::string> kinds_;
  std::map<std::string, std::map<std::string, Master>> masters_;  // of the styles that have a file
};

}  // namespace longhand
