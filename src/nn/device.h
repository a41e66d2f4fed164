// Where a model computes, by name, as --device takes it.
#pragma once

#include <string>

#include "nn/torch.h"

namespace longhand {

/// "cpu", "cuda", "cuda:1", or any other device by libtorch's name for it; "auto" → cuda where
/// this libtorch has it and finds a GPU, else cpu. Throws invalid_argument for a name that is not
/// known and for a number beyond the last device; unavailable, with what to install, for a device
/// that this libtorch was not built for or does not find.
at::Device device_named(const std::string& name);

}  // namespace longhand
