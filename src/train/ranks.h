// The processes of a data-parallel run, as mpirun or Slurm's srun starts them; a process started by
// itself is rank 0 of 1. The only part that knows MPI.
#pragma once

#include <functional>
#include <vector>

#include "nn/torch.h"

namespace longhand::ranks {

/// Meets the other processes, does the work, and ends with them. A process whose work throws ends
/// without them, upon which its launcher ends the others. Throws unavailable where a launcher
/// started more processes than MPI sees, as without MPI.
void together(const std::function<void()>& work);

int rank();
int size();

/// Waits for all ranks. This and what follows is called by all of them, in one order, on one
/// thread; it throws unavailable where MPI says that another rank was lost.
void barrier();

/// Sums over ranks, in place: float32 or float64, contiguous.
void sum(at::Tensor& tensor);

/// Each rank's part of a flat tensor, which it has filled, goes to all: a part ends at the rank's
/// number in `ends` and begins where the one before ends.
void share(at::Tensor& flat, const std::vector<std::int64_t>& ends);

/// The rows of all ranks, in their order: [n, …] → [size · n, …], float32. In the backward pass
/// they get the sum of all ranks' gradients, as the joined batch's would (OpenCLIP's
/// gather_with_grad).
at::Tensor gather(const at::Tensor& rows);

/// This rank's part of a joined batch's samples.
struct Part {
  std::int64_t first, count;
  at::Tensor of(const at::Tensor& joined) const { return joined.narrow(0, first, count); }
};
Part part_of(std::int64_t joined_batch);

/// Normal noise like `part`: its rows of what one process draws for the joined batch.
at::Tensor noise_like(const at::Tensor& part);

}  // namespace longhand::ranks
