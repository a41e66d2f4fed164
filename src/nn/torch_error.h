// libtorch's errors as the house's.
#pragma once

#include <c10/util/Exception.h>

#include "core/error.h"

namespace longhand {

/// out_of_memory, with what to do, or internal; without libtorch's stack of calls.
Error house_error(const c10::Error& error);

}  // namespace longhand
