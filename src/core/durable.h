// Large files written bit by bit under another name, which are to outlive a power cut once they
// have their own. Small ones: write_file_atomically (core/files.h).
#pragma once

#include "core/files.h"

namespace longhand {

/// Flushes a closed file to disk and gives it its name, over what had that name; the folder's entry
/// is flushed, too. Throws unavailable.
void put_in_place(const fs::path& begun, const fs::path& target);

}  // namespace longhand
