// One process is rank 0 of 1: it draws what it always drew, and keeps the whole batch. What several
// have in common is tested by tests/e2e/train_e2e.py.
#include "train/ranks.h"

#include <doctest/doctest.h>

#include <cstdlib>

#include "core/error.h"

using namespace longhand;
using at::Tensor;

TEST_CASE("a process by itself") {
  CHECK(ranks::rank() == 0);
  CHECK(ranks::size() == 1);
  const Tensor rows = at::arange(6, at::kFloat).view({3, 2});
  CHECK(at::equal(ranks::part_of(3).of(rows), rows));
  CHECK(at::equal(ranks::gather(rows), rows));
  Tensor sum = rows.clone();
  ranks::sum(sum);
  CHECK(at::equal(sum, rows));
}

TEST_CASE("noise is that of randn_like in every type and memory format") {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
      const Tensor latents = at::empty({4, 8, 5, 5}, dtype).contiguous(format);
      at::manual_seed(11);
      const Tensor expected = at::randn_like(latents);
      at::manual_seed(11);
      const Tensor noise = ranks::noise_like(latents);
      CHECK(at::equal(noise, expected));
      CHECK(noise.strides() == expected.strides());
    }
  }
}

TEST_CASE("more processes than MPI sees are refused") {
  // As under the mpirun of another MPI, or where none is built in: MPI_Init alone sees one.
  setenv("SLURM_STEP_NUM_TASKS", "3", 1);
  bool worked = false;
  CHECK_THROWS_AS(ranks::together([&] { worked = true; }), Error);
  CHECK_FALSE(worked);
  unsetenv("SLURM_STEP_NUM_TASKS");
}
