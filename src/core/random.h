// Random streams that belong to what they are for, never to a place in a batch.
#pragma once

#include <cstdint>
#include <initializer_list>

namespace longhand {

/// A small random stream (xoshiro256**), seeded by a list of keys such as {seed, row, candidate}.
/// Equal keys give equal streams on every machine. Satisfies UniformRandomBitGenerator; prefer the
/// methods below to <random>'s distributions, whose results differ between standard libraries.
class Random {
 public:
  using result_type = std::uint64_t;

  explicit Random(std::initializer_list<std::uint64_t> keys);

  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return ~result_type{0}; }
  result_type operator()();

  /// Uniform in [0, 1).
  double uniform();
  /// Uniform in [low, high).
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// Uniform integer in [0, count); count must be positive.
  int below(int count);
  /// True with the given probability.
  bool chance(double probability) { return uniform() < probability; }
  /// One of a container's elements.
  template <class Container>
  const auto& pick(const Container& container) {
    return container[static_cast<std::size_t>(below(static_cast<int>(container.size())))];
  }

 private:
  std::uint64_t state_[4];
};

}  // namespace longhand
