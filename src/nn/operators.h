// Operators of libtorch that have no C++ function.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>

namespace longhand {

/// Looked up by its schema's name.
template <class Signature>
c10::TypedOperatorHandle<Signature> operator_named(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

}  // namespace longhand
