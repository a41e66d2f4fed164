// Ctrl-C finishes the row in hand: long loops ask interrupted() between rows.
#pragma once

#include "core/error.h"

namespace longhand {

/// Makes SIGINT and SIGTERM set a flag; a second signal ends the process at once with 130.
void catch_interrupts();

/// True once a signal has come.
bool interrupted();

/// What is thrown then: cancelled.
Error stopped_by_signal();

/// Throws it once a signal has come.
void throw_if_interrupted();

}  // namespace longhand
