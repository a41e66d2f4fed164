// Pictures over one another: cut-outs, masks, and what was painted put back into what was there.
#pragma once

#include <string>

#include "io/image.h"
#include "nn/torch.h"

namespace longhand {

/// A cut-out's file, and where its upper left corner comes to lie: pixels of the picture, which may
/// be beyond its edges; its size is multiplied by `scale`.
struct Paste {
  fs::path file;
  int x = 0, y = 0;
  double scale = 1;
};

/// "FILE@X,Y" or "FILE@X,Y,SCALE". Throws invalid_argument.
Paste parse_paste(const std::string& text);

/// RGB: what is transparent shows white, as most viewers show it.
Image flattened(const Image& image);

/// A cut-out over a picture with its upper left corner at x, y (Porter & Duff 1984, "over", alpha
/// not premultiplied); beyond the picture's edges it is cut off. What is wholly transparent leaves
/// the picture as it is, to the byte.
Image pasted(const Image& picture, const Image& cutout, int x, int y);

/// [height, width] of the picture: the cut-out's opacity, 0 to 1, where pasted() puts it.
at::Tensor opacity_of_paste(const Image& picture, const Image& cutout, int x, int y);

/// A mask [height, width] that is 1 wherever `region` is above 0, and falls to 0 within
/// 2 · `margin` pixels around it.
at::Tensor widened(const at::Tensor& region, int margin);

/// A mask's lightness [height, width], 0 to 1, as PIL's convert("L") has it; what is transparent is
/// black.
at::Tensor mask_of(const Image& mask);

/// The picture where the mask [height, width] is 0, to the byte, `painted` (RGB, opaque) where it
/// is 1, and the two blended between. All are of the same size.
Image blended(const Image& picture, const Image& painted, const at::Tensor& mask);

/// Root mean square difference of two RGB pictures' channels, which are 0 to 1, each pixel weighing
/// as the mask [height, width] says; undefined: all alike. Times √(3 · width · height), without a
/// mask, it is the L2 distance.
double rms_difference(const Image& one, const Image& other, const at::Tensor& mask);

}  // namespace longhand
