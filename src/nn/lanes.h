// Sixteen float32 at a time, as the compiler's vector type, for loops of our own: a function that
// uses them is compiled for several instruction sets (target_clones), one of which is chosen at run
// time. Vectors go by reference, since passing them by value differs between instruction sets.
#pragma once

#include <c10/core/ScalarType.h>

#include <array>
#include <cstdint>

namespace longhand {

/// Before a plain function: several versions of it, of which the processor's is taken.
#define LONGHAND_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))

constexpr std::int64_t lane_count = 16;
using Lanes = float __attribute__((vector_size(64)));
using LaneBits = std::uint32_t __attribute__((vector_size(64)));
using LaneHalves = std::uint16_t __attribute__((vector_size(32)));

[[gnu::always_inline]] inline void load(const float* from, Lanes& x) {
  __builtin_memcpy(&x, from, sizeof(x));
}

[[gnu::always_inline]] inline void load(const at::BFloat16* from, Lanes& x) {
  LaneHalves halves;
  __builtin_memcpy(&halves, from, sizeof(halves));
  x = reinterpret_cast<Lanes>(__builtin_convertvector(halves, LaneBits) << 16);
}

[[gnu::always_inline]] inline void store(const Lanes& x, float* to) {
  __builtin_memcpy(to, &x, sizeof(x));
}

/// Rounds to the nearest, ties to even.
[[gnu::always_inline]] inline void store(const Lanes& x, at::BFloat16* to) {
  const LaneBits bits = reinterpret_cast<LaneBits>(x);
  const LaneBits rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const LaneHalves halves = __builtin_convertvector(rounded, LaneHalves);
  __builtin_memcpy(to, &halves, sizeof(halves));
}

/// Horner's rule; the coefficient of the highest power is the last.
template <std::size_t count>
[[gnu::always_inline]] inline void polynomial(const std::array<float, count>& coefficients,
                                              const Lanes& x, Lanes& y) {
  y = Lanes{} + coefficients[count - 1];
  for (std::size_t i = count - 1; i > 0; --i) {
    y = y * x + coefficients[i - 1];
  }
}

/// 2^x within 2e-7 of it (relative); 0 below -126, and 2^126 from 126 on.
[[gnu::always_inline]] inline void exp2(Lanes& x) {
  // A least-squares fit on [-1/2, 1/2], reweighted until the largest relative error (2e-9) is
  // least.
  constexpr std::array coefficients = {1.0F,           0.693147182F,   0.240226462F,  0.0555032864F,
                                       0.00961848907F, 0.00133999309F, 0.00015345795F};
  constexpr float low = -126, high = 126;
  constexpr float to_integer = 0x1.8p23F;  // adding it rounds to an integer, in the lowest bits
  Lanes inside = x < low ? Lanes{} + low : x;
  inside = inside > high ? Lanes{} + high : inside;
  const Lanes whole = inside + to_integer;
  Lanes power;
  polynomial(coefficients, inside - (whole - to_integer), power);
  const LaneBits scaled =
      reinterpret_cast<LaneBits>(power) + (reinterpret_cast<LaneBits>(whole) << 23);
  x = x < low ? Lanes{} : reinterpret_cast<Lanes>(scaled);
}

/// The standard normal distribution function Φ(x), within 1e-6 of it relative to the smaller of
/// Φ(x) and Φ(-x) for |x| < 5.
[[gnu::always_inline]] inline void normal_cdf(Lanes& x) {
  // Φ(-u) exp(u²/2) / t, fitted like the above as a polynomial in t = 1 / (1 + 0.35 u), u in [0,
  // 14].
  constexpr std::array coefficients = {0.139621407F,  0.139861912F,   0.119832501F,
                                       0.105509542F,  -0.0231136382F, 0.159179896F,
                                       -0.255719423F, 0.143974259F,   -0.0291464683F};
  constexpr float half_log2_e = 0.721347520F;
  const Lanes u = x < 0.0F ? -x : x;
  const Lanes t = 1.0F / (1.0F + 0.35F * u);
  Lanes tail, density = u * u * -half_log2_e;
  polynomial(coefficients, t, tail);
  exp2(density);
  tail = tail * t * density;
  x = x < 0.0F ? tail : 1.0F - tail;
}

/// One number of all lanes, halving them with `merge`.
template <class Merge>
[[gnu::always_inline]] inline float reduce(const Lanes& x, const Merge& merge) {
  std::array<float, lane_count> rest;
  store(x, rest.data());
  for (std::size_t half = lane_count / 2; half > 0; half /= 2) {
    for (std::size_t i = 0; i < half; ++i) {
      rest[i] = merge(rest[i], rest[i + half]);
    }
  }
  return rest[0];
}

/// Calls body with a value of the type: float, or BFloat16 for all else.
template <class Body>
void with_type(at::ScalarType dtype, const Body& body) {
  if (dtype == at::kFloat) {
    body(float());
  } else {
    body(at::BFloat16());
  }
}

}  // namespace longhand
