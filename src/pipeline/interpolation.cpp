#include "pipeline/interpolation.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace longhand {
namespace {

// Of vectors of length 1: those that differ by less have no direction between them, and texts whose
// embeddings do, float32 or bfloat16, are read alike.
constexpr double no_length = 1e-12, no_difference = 1e-5;

double length(const at::Tensor& x) { return x.norm().item<double>(); }

at::Tensor unit(const at::Tensor& x) {
  const double own = length(x);
  if (own == 0) {
    fail(Kind::invalid_argument, "an embedding is zero throughout and has no direction");
  }
  return x / own;
}

/// The unit vector along which `to` leaves `from`, both of length 1.
at::Tensor departure(const at::Tensor& from, const at::Tensor& to) {
  const auto upright = [&](const at::Tensor& x) { return x - from.dot(x) * from; };
  const at::Tensor away = upright(to);
  if (length(away) > no_length) {
    return unit(away);
  }
  at::Tensor axis = at::zeros_like(from);
  axis[from.abs().argmin()] = 1;
  return unit(upright(axis));
}

}  // namespace

at::Tensor slerp(const at::Tensor& a, const at::Tensor& b, double part) {
  const at::Tensor first = a.to(at::kDouble), last = b.to(at::kDouble);
  const at::Tensor from = unit(first), to = unit(last);
  // Of angles near 0 and π, the arc cosine of a product knows only half the digits.
  const double angle = part * 2 * std::atan2(length(from - to), length(from + to));
  const at::Tensor direction = std::cos(angle) * from + std::sin(angle) * departure(from, to);
  return (((1 - part) * length(first) + part * length(last)) * direction).to(a.scalar_type());
}

at::Tensor along_chain(const at::Tensor& embeds, int count) {
  const std::int64_t arcs = embeds.size(0) - 1;
  std::vector<at::Tensor> points;
  for (int i = 0; i < count; ++i) {
    const std::int64_t passed = i * arcs, arc = std::min(passed / (count - 1), arcs - 1);
    const double part = static_cast<double>(passed - arc * (count - 1)) / (count - 1);
    points.push_back(slerp(embeds[arc], embeds[arc + 1], part));
  }
  return at::stack(points);
}

at::Tensor text_difference(const at::Tensor& from, const at::Tensor& to) {
  const at::Tensor difference = unit(to.to(at::kDouble)) - unit(from.to(at::kDouble));
  if (length(difference) < no_difference) {
    fail(Kind::invalid_argument,
         "the two texts read alike to the model: there is no difference to go along");
  }
  return unit(difference).to(from.scalar_type());
}

at::Tensor along_difference(const at::Tensor& embed, const at::Tensor& difference, double theta,
                            int count) {
  const at::Tensor towards = difference.to(at::kDouble) * length(embed.to(at::kDouble));
  std::vector<at::Tensor> points;
  for (int i = 0; i < count; ++i) {
    points.push_back(slerp(embed, towards, count == 1 ? 0 : theta * i / (count - 1)));
  }
  return at::stack(points);
}

}  // namespace longhand
