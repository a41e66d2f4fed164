// Sprites: things drawn in several styles, rasterised once, recoloured and resized as scenes need them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "io/image.h"

namespace longhand {

/// Premultiplied linear-free RGBA in 0…1: pixels[(y * width + x) * 4 + c].
struct Sprite {
  int width = 0;
  int height = 0;
  std::vector<float> pixels;
};

/// The sprite set under data/sprites: style → thing → sprite, cropped to what is drawn.
class SpriteSet {
 public:
  SpriteSet();
  const std::vector<std::string>& things() const { return things_; }
  const std::vector<std::string>& styles() const { return styles_; }
  /// "animal", "flyer", "food"…
  const std::string& kind(const std::string& thing) const { return kinds_.at(thing); }
  /// A thing `height` pixels high, or as high as `max_width` lets it be.
  Sprite drawn(const std::string& thing, const std::string& style, const std::string& colour,
               int height, int max_width) const;

 private:
  std::vector<std::string> things_, styles_;
  std::map<std::string, std::string> kinds_;
  std::map<std::string, std::map<std::string, Sprite>> masters_;
};

/// The colour words, in the order that World::colours() gives.
const std::vector<std::string>& colour_words();

/// Gives a sprite's body another colour and leaves its eyes, outlines and shading: pixels that are near black or
/// near white keep their colour unless most of the sprite is so.
void recolour(Sprite& sprite, const std::string& colour);

}  // namespace longhand
