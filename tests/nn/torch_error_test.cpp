#include "nn/torch_error.h"

#include <doctest/doctest.h>

#include "nn/torch.h"

namespace longhand {
namespace {

template <class Action>
Error thrown_by(const Action& action) {
  try {
    action();
  } catch (const c10::Error& error) {
    return house_error(error);
  }
  return {Kind::cancelled, "nothing was thrown"};
}

TEST_CASE("libtorch's errors become the house's, memory apart") {
  const Error memory = thrown_by([] { at::empty({std::int64_t{1} << 55}, at::kByte); });
  CHECK(memory.kind() == Kind::out_of_memory);
  CHECK(std::string(memory.what()).find("fewer pictures") != std::string::npos);
  const Error other = thrown_by([] { at::matmul(at::ones({2, 3}), at::ones({2, 3})); });
  CHECK(other.kind() == Kind::internal);
  CHECK(std::string(other.what()).find("Exception raised from") == std::string::npos);
}

}  // namespace
}  // namespace longhand
