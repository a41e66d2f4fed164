#include "train/ranks.h"

#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cstdlib>

#include "core/error.h"
#ifdef LONGHAND_MPI
#include <mpi.h>
#endif

namespace longhand::ranks {
namespace {

/// As many processes as the launcher says that it started: Open MPI's mpirun, MPICH's, or srun.
int launched() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}) {
    if (const char* value = std::getenv(name)) {
      return std::max(1, std::atoi(value));
    }
  }
  return 1;
}

struct Place {
  int rank = 0, size = 1;
};
Place own;  // set once, before any other thread asks for it

// What is asked of MPI. Where it is not built in, a process is alone.
#ifdef LONGHAND_MPI
constexpr std::int64_t largest_message = std::int64_t{1} << 28;  // MPI counts in int

void check(int code) {
  if (code == MPI_SUCCESS) {
    return;
  }
  char message[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(code, message, &length);
  fail(Kind::unavailable,
       "another process of this run is lost ({}); the same command goes on from the last "
       "checkpoint",
       message);
}

Place meet() {
  Place place;
  int threads = 0;
  check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &threads));
  check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
  check(MPI_Comm_rank(MPI_COMM_WORLD, &place.rank));
  check(MPI_Comm_size(MPI_COMM_WORLD, &place.size));
  return place;
}
void wait_for_all() { check(MPI_Barrier(MPI_COMM_WORLD)); }
void end() { check(MPI_Finalize()); }

void sum_in_place(at::Tensor& tensor) {
  const MPI_Datatype type = tensor.scalar_type() == at::kDouble ? MPI_DOUBLE : MPI_FLOAT;
  auto* data = static_cast<char*>(tensor.mutable_data_ptr());
  for (std::int64_t done = 0; done < tensor.numel(); done += largest_message) {
    const std::int64_t count = std::min(largest_message, tensor.numel() - done);
    check(MPI_Allreduce(MPI_IN_PLACE, data + done * tensor.element_size(), static_cast<int>(count),
                        type, MPI_SUM, MPI_COMM_WORLD));
  }
}

void all_rows(const at::Tensor& rows, at::Tensor& all) {
  TORCH_INTERNAL_ASSERT(rows.numel() <= largest_message);
  const int count = static_cast<int>(rows.numel());
  check(MPI_Allgather(rows.const_data_ptr(), count, MPI_FLOAT, all.mutable_data_ptr(), count,
                      MPI_FLOAT, MPI_COMM_WORLD));
}
void send_to_all(void* data, std::int64_t bytes, int from) {
  for (std::int64_t done = 0; done < bytes; done += largest_message) {
    const auto count = static_cast<int>(std::min(largest_message, bytes - done));
    check(MPI_Bcast(static_cast<char*>(data) + done, count, MPI_BYTE, from, MPI_COMM_WORLD));
  }
}
#else
Place meet() { return {}; }
void wait_for_all() {}
void end() {}
void sum_in_place(at::Tensor&) {}
void all_rows(const at::Tensor& rows, at::Tensor& all) { all.copy_(rows); }
void send_to_all(void*, std::int64_t, int) {}
#endif

struct Gather : torch::autograd::Function<Gather> {
  static at::Tensor forward(torch::autograd::AutogradContext*, const at::Tensor& rows) {
    std::vector<std::int64_t> sizes = rows.sizes().vec();
    sizes[0] *= size();
    at::Tensor all = at::empty(sizes, rows.options());
    all_rows(rows.contiguous(), all);
    return all;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 const torch::autograd::variable_list& gradients) {
    at::Tensor all = gradients[0].clone(at::MemoryFormat::Contiguous);
    sum(all);
    return {part_of(all.size(0)).of(all)};
  }
};

}  // namespace

void together(const std::function<void()>& work) {
  if (const int expected = launched(); expected > 1) {
    own = meet();
    if (size() != expected) {
      fail(Kind::unavailable,
           "{} processes were started together, but this program's MPI sees {}: install "
           "libopenmpi-dev and openmpi-bin, configure and build again, and take their mpirun; or "
           "start one process, without a launcher",
           expected, size());
    }
  }
  work();
  barrier();
  if (size() > 1) {
    end();
  }
}

int rank() { return own.rank; }
int size() { return own.size; }

void barrier() {
  if (size() > 1) {
    wait_for_all();
  }
}

void sum(at::Tensor& tensor) {
  TORCH_INTERNAL_ASSERT(tensor.is_contiguous() && tensor.is_floating_point() &&
                        tensor.element_size() >= 4);
  if (size() > 1) {
    sum_in_place(tensor);
  }
}

void share(at::Tensor& flat, const std::vector<std::int64_t>& ends) {
  TORCH_INTERNAL_ASSERT(flat.is_contiguous() && std::ssize(ends) == size() &&
                        ends.back() <= flat.numel());
  if (size() == 1) {
    return;
  }
  std::int64_t begin = 0;
  for (int from = 0; from < size(); ++from) {
    const std::int64_t end = ends[static_cast<std::size_t>(from)];
    send_to_all(static_cast<char*>(flat.mutable_data_ptr()) + begin * flat.element_size(),
                (end - begin) * flat.element_size(), from);
    begin = end;
  }
}

at::Tensor gather(const at::Tensor& rows) {
  TORCH_INTERNAL_ASSERT(rows.scalar_type() == at::kFloat);
  return size() == 1 ? rows : Gather::apply(rows);
}

Part part_of(std::int64_t joined_batch) {
  const std::int64_t count = joined_batch / size();
  return {rank() * count, count};
}

at::Tensor noise_like(const at::Tensor& part) {
  std::vector<std::int64_t> sizes = part.sizes().vec();
  sizes[0] *= size();
  // Samples lie one after the other in every memory format, so the part's strides are the whole's.
  const at::Tensor joined = at::empty_strided(sizes, part.strides(), part.options()).normal_();
  return part_of(sizes[0]).of(joined);
}

}  // namespace longhand::ranks
