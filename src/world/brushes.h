// Brushes that places and weather are painted with. All positions and extents are in shares of the
// picture's side.
#pragma once

#include <vector>

namespace longhand {

/// A float RGB picture while a scene is composed: pixels[(y * size + x) * 3 + c] in 0…1.
struct Raster {
  int size;
  std::vector<float> pixels;
};

struct Colour {
  float r, g, b;
};

Colour mix(const Colour& a, const Colour& b, float t);

/// One pixel; what lies beyond the canvas is left out.
void blend(Raster& canvas, int x, int y, const Colour& colour, float alpha);

/// A vertical gradient between two heights, laid over what is there.
void gradient(Raster& canvas, double from, double to, const Colour& top, const Colour& bottom,
              float alpha = 1);

/// An ellipse with a soft edge.
void ellipse(Raster& canvas, double cx, double cy, double rx, double ry, const Colour& colour,
             double alpha, double softness = 0.15);

void rectangle(Raster& canvas, double x0, double y0, double x1, double y1, const Colour& colour);

/// A triangle standing on `base`, its tip at (cx, top).
void peak(Raster& canvas, double cx, double top, double base, double half_width,
          const Colour& colour);

/// A straight thin line, `width` wide.
void line(Raster& canvas, double x0, double y0, double x1, double y1, double width,
          const Colour& colour, float alpha);

}  // namespace longhand
