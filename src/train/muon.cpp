#include "train/muon.h"

#include <algorithm>
#include <cmath>

#include "nn/dtype.h"
#include "train/ranks.h"

namespace longhand {
namespace {

/// Five steps of Newton-Schulz with the coefficients of Jordan 2024, of [count, rows, columns] at
/// once.
at::Tensor orthogonalised(const at::Tensor& matrices) {
  const bool tall = matrices.size(1) > matrices.size(2);
  at::Tensor x = (tall ? matrices.transpose(1, 2) : matrices).contiguous();
  x = x / at::linalg_vector_norm(x, 2, {1, 2}, true).clamp_min_(1e-7);
  for (int i = 0; i < 5; ++i) {
    const at::Tensor gram = x.bmm(x.transpose(1, 2));
    x = at::baddbmm(x, at::baddbmm(gram, gram, gram, -4.7750, 2.0315), x, 3.4445);
  }
  const auto longer = static_cast<double>(std::max(matrices.size(1), matrices.size(2)));
  return (tall ? x.transpose(1, 2) : x) * (0.2 * std::sqrt(longer));
}

/// Where a processor does not multiply bfloat16, libtorch rounds within a product's sums: float32
/// is more exact there, and faster.
at::ScalarType computed_in(at::ScalarType type) {
  return type == at::kBFloat16 ? dtype_named("auto") : type;
}

/// What a matrix costs, but for a factor.
double cost(const MatrixGroup& group) {
  return static_cast<double>(group.rows * group.columns) *
         static_cast<double>(std::min(group.rows, group.columns));
}

/// A run of one group's matrices.
struct Share {
  MatrixGroup part;
  int rank;
};

/// Who does what: about equal costs, whole matrices, in their order.
std::vector<Share> shares_of(const std::vector<MatrixGroup>& groups) {
  double all = 0, before = 0;
  for (const MatrixGroup& group : groups) {
    all += cost(group) * static_cast<double>(group.count);
  }
  std::vector<Share> shares;
  for (const MatrixGroup& group : groups) {
    for (std::int64_t i = 0; i < group.count; ++i, before += cost(group)) {
      const int rank = std::min(
          ranks::size() - 1, static_cast<int>(before / all * static_cast<double>(ranks::size())));
      if (i > 0 && shares.back().rank == rank) {
        ++shares.back().part.count;
      } else {
        const std::int64_t offset = group.offset + i * group.rows * group.columns;
        shares.push_back({{offset, 1, group.rows, group.columns}, rank});
      }
    }
  }
  return shares;
}

}  // namespace

bool is_hidden_matrix(const std::string& name, const at::Tensor& weight) {
  if (weight.dim() < 2) {
    return false;
  }
  const auto has = [&](const char* part) { return name.find(part) != std::string::npos; };
  return !has("embed") && !has("conv_in") && !has("conv_out");
}

void orthogonalise(at::Tensor& flat, const std::vector<MatrixGroup>& groups) {
  std::vector<std::int64_t> ends(static_cast<std::size_t>(ranks::size()), 0);
  for (const auto& [part, rank] : shares_of(groups)) {
    const std::int64_t count = part.count * part.rows * part.columns;
    if (rank == ranks::rank()) {
      at::Tensor own =
          flat.narrow(0, part.offset, count).view({part.count, part.rows, part.columns});
      own.copy_(orthogonalised(own.to(computed_in(own.scalar_type()))));
    }
    std::fill(ends.begin() + rank, ends.end(), part.offset + count);
  }
  ranks::share(flat, ends);
}

}  // namespace longhand
