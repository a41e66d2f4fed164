// A device for tests that is not the processor: libtorch's "privateuseone", with the processor's
// own kernels behind it. Its memory cannot be read by the pointers that its tensors have, and an
// operation that is given tensors of two devices throws, as it does on a GPU.
#pragma once

#include <ATen/ATen.h>

namespace longhand {

at::Device other_device();

}  // namespace longhand
