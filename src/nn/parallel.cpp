#include "nn/parallel.h"

#include <ATen/TensorIterator.h>

#include <algorithm>

#include "nn/torch.h"

namespace longhand {

void parallel_for(std::int64_t count, const std::function<void(std::int64_t, std::int64_t)>& body,
                  std::int64_t grain) {
  // An iterator over one byte a step divides the steps among the threads; where a part's bytes lie
  // says which steps they are.
  const at::Tensor steps = at::empty({count}, at::kByte);
  const char* first = static_cast<const char*>(steps.const_data_ptr());
  at::TensorIterator::borrowing_nullary_op(steps).for_each(
      [&](char** data, const std::int64_t*, std::int64_t size) {
        const std::int64_t begin = data[0] - first;
        body(begin, begin + size);
      },
      std::max<std::int64_t>(grain, 1));
}

}  // namespace longhand
