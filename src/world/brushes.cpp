#include "world/brushes.h"

#include <algorithm>
#include <cmath>

namespace longhand {

Colour mix(const Colour& a, const Colour& b, float t) {
  return {a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t, a.b + (b.b - a.b) * t};
}

void blend(Raster& canvas, int x, int y, const Colour& colour, float alpha) {
  if (x < 0 || y < 0 || x >= canvas.size || y >= canvas.size) {
    return;
  }
  float* p = &canvas.pixels[(static_cast<std::size_t>(y) * canvas.size + x) * 3];
  p[0] += (colour.r - p[0]) * alpha;
  p[1] += (colour.g - p[1]) * alpha;
  p[2] += (colour.b - p[2]) * alpha;
}

void gradient(Raster& canvas, double from, double to, const Colour& top, const Colour& bottom,
              float alpha) {
  const int y0 = static_cast<int>(from * canvas.size), y1 = static_cast<int>(to * canvas.size);
  for (int y = y0; y < y1; ++y) {
    const Colour colour = mix(top, bottom, static_cast<float>(y - y0) / std::max(1, y1 - y0 - 1));
    for (int x = 0; x < canvas.size; ++x) {
      blend(canvas, x, y, colour, alpha);
    }
  }
}

void ellipse(Raster& canvas, double cx, double cy, double rx, double ry, const Colour& colour,
             double alpha, double softness) {
  const double n = canvas.size;
  for (int y = static_cast<int>((cy - ry * 1.3) * n); y <= (cy + ry * 1.3) * n; ++y) {
    for (int x = static_cast<int>((cx - rx * 1.3) * n); x <= (cx + rx * 1.3) * n; ++x) {
      const double dx = (x + 0.5 - cx * n) / (rx * n), dy = (y + 0.5 - cy * n) / (ry * n);
      const double inside = (1 + softness - std::sqrt(dx * dx + dy * dy)) / (2 * softness);
      if (inside > 0) {
        blend(canvas, x, y, colour, static_cast<float>(alpha * std::min(1.0, inside)));
      }
    }
  }
}

void rectangle(Raster& canvas, double x0, double y0, double x1, double y1, const Colour& colour) {
  for (int y = static_cast<int>(y0 * canvas.size); y < static_cast<int>(y1 * canvas.size); ++y) {
    for (int x = static_cast<int>(x0 * canvas.size); x < static_cast<int>(x1 * canvas.size); ++x) {
      blend(canvas, x, y, colour, 1);
    }
  }
}

void peak(Raster& canvas, double cx, double top, double base, double half_width,
          const Colour& colour) {
  const double n = canvas.size;
  for (int y = static_cast<int>(top * n); y < static_cast<int>(base * n); ++y) {
    const double half = half_width * (y / n - top) / (base - top);
    for (int x = static_cast<int>((cx - half) * n); x < static_cast<int>((cx + half) * n); ++x) {
      blend(canvas, x, y, colour, 1);
    }
  }
}

void line(Raster& canvas, double x0, double y0, double x1, double y1, double width,
          const Colour& colour, float alpha) {
  const double n = canvas.size, dx = x1 - x0, dy = y1 - y0;
  const double length_squared = std::max(1e-12, dx * dx + dy * dy);
  const auto pixel = [n](double share) { return static_cast<int>(std::floor(share * n)); };
  for (int y = pixel(std::min(y0, y1) - width); y <= pixel(std::max(y0, y1) + width); ++y) {
    for (int x = pixel(std::min(x0, x1) - width); x <= pixel(std::max(x0, x1) + width); ++x) {
      const double px = (x + 0.5) / n - x0, py = (y + 0.5) / n - y0;
      const double along = std::clamp((px * dx + py * dy) / length_squared, 0.0, 1.0);
      const double away = std::hypot(px - along * dx, py - along * dy) * n;
      const double covered = std::clamp(width * n / 2 + 0.5 - away, 0.0, 1.0);
      blend(canvas, x, y, colour, alpha * static_cast<float>(covered));
    }
  }
}

}  // namespace longhand
