#include "core/random.h"

#include <bit>

namespace longhand {
namespace {

std::uint64_t splitmix64(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15ULL);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

}  // namespace

Random::Random(std::initializer_list<std::uint64_t> keys) {
  std::uint64_t mixed = 0;
  for (std::uint64_t key : keys) {
    mixed ^= key;
    mixed = splitmix64(mixed);
  }
  for (std::uint64_t& word : state_) {
    word = splitmix64(mixed);
  }
}

Random::result_type Random::operator()() {
  const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

double Random::uniform() { return static_cast<double>((*this)() >> 11) * 0x1.0p-53; }

int Random::below(int count) { return static_cast<int>(uniform() * count); }

}  // namespace longhand
