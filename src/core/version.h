// The program's version; CMake reads it from here.
#pragma once

namespace longhand {

inline constexpr const char* version = "0.1.0";

}  // namespace longhand
