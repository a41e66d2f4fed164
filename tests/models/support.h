// What the tests of models share: recorded files and lists of keys.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <zlib.h>

#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "core/files.h"
#include "nn/weights.h"

namespace longhand {

using Shapes = std::map<std::string, std::vector<std::int64_t>>;

inline std::string gunzipped(const fs::path& path) {
  const gzFile file = gzopen(path.c_str(), "rb");
  REQUIRE_MESSAGE(file != nullptr, path.string());
  std::string text;
  std::vector<char> piece(1 << 16);
  for (int read = 0; (read = gzread(file, piece.data(), piece.size())) > 0;) {
    text.append(piece.data(), read);
  }
  gzclose(file);
  return text;
}

/// The parameters of a list of keys, whose lines are "name [TAB kind] TAB shape": all but the
/// buffers.
inline Shapes shapes_in(const fs::path& path) {
  std::istringstream lines(gunzipped(path));
  Shapes shapes;
  for (std::string line; std::getline(lines, line);) {
    if (line.find("\tbuffer") != std::string::npos) {
      continue;
    }
    std::istringstream sides(line.substr(line.rfind('\t') + 1));
    auto& shape = shapes[line.substr(0, line.find('\t'))];
    for (std::string side; sides.str() != "scalar" && std::getline(sides, side, 'x');) {
      shape.push_back(std::stoll(side));
    }
  }
  REQUIRE(!shapes.empty());
  return shapes;
}

inline Shapes shapes_of(const TensorMap& tensors) {
  Shapes shapes;
  for (const auto& [name, tensor] : tensors) {
    shapes[name] = tensor.sizes().vec();
  }
  return shapes;
}

/// The largest difference, as a part of the largest expected value.
inline double relative_error(const at::Tensor& answer, const at::Tensor& expected) {
  REQUIRE(answer.sizes() == expected.sizes());
  return ((answer - expected).abs().max() / expected.abs().max()).item<double>();
}

/// What is in one and not, or not with this shape, in the other, for people; "" where they agree.
inline std::string difference(const Shapes& got, const Shapes& expected) {
  std::string text;
  for (const auto& [name, shape] : expected) {
    const auto found = got.find(name);
    text += found == got.end() ? " -" + name : found->second != shape ? " ~" + name : "";
  }
  for (const auto& [name, shape] : got) {
    text += expected.contains(name) ? "" : " +" + name;
  }
  return text.substr(0, 1000);
}

}  // namespace longhand
