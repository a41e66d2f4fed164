// Any bytes as a safetensors file: tensors that lie within the bytes, or Error{corrupt}.
#include <cstdlib>

#include "core/error.h"
#include "io/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  std::map<std::string, std::string> metadata;
  try {
    for (const auto& [name, tensor] : longhand::Safetensors::parse(bytes, "fuzz", &metadata)) {
      const bool inside = tensor.bytes.empty() ||
                          (tensor.bytes.data() >= bytes.data() &&
                           tensor.bytes.data() + tensor.bytes.size() <= bytes.data() + size);
      if (!inside) {
        std::abort();
      }
    }
  } catch (const longhand::Error& error) {
    if (error.kind() != longhand::Kind::corrupt) {
      std::abort();
    }
  }
  return 0;
}
