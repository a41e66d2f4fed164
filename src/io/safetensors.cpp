#include "io/safetensors.h"

#include <cstring>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace longhand {
namespace {

using nlohmann::json;

constexpr std::uint64_t max_header = 100 << 20;  // the reference implementation's limit

[[noreturn]] void corrupt(const std::string& name, const std::string& what) {
  fail(Kind::corrupt, "{}: {}; the file is damaged or cut off: fetch or write it again", name,
       what);
}

/// Elements of a shape, refused where the product leaves 63 bits.
std::uint64_t element_count(const std::vector<std::int64_t>& shape, const std::string& name) {
  std::uint64_t count = 1;
  for (const std::int64_t side : shape) {
    if (side < 0 || __builtin_mul_overflow(count, static_cast<std::uint64_t>(side), &count) ||
        count > (std::uint64_t{1} << 60)) {
      corrupt(name, "a shape has a negative or impossible side");
    }
  }
  return count;
}

StoredTensor parse_entry(const std::string& key, const json& entry, std::span<const std::byte> data,
                         const std::string& name) {
  StoredTensor tensor;
  std::vector<std::uint64_t> offsets;
  try {
    tensor.dtype = entry.at("dtype").get<std::string>();
    for (const json& side : entry.at("shape")) {
      if (!side.is_number_unsigned()) {
        corrupt(name, fmt::format("tensor {} has a shape that is not of whole numbers", key));
      }
      tensor.shape.push_back(side.get<std::int64_t>());
    }
    offsets = entry.at("data_offsets").get<std::vector<std::uint64_t>>();
  } catch (const json::exception& error) {
    corrupt(name, fmt::format("the header's entry for {} is broken ({})", key, error.what()));
  }
  const std::size_t size = dtype_size(tensor.dtype);
  if (size == 0) {
    corrupt(name, fmt::format("tensor {} has the unknown dtype {}", key, tensor.dtype));
  }
  if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > data.size()) {
    corrupt(name,
            fmt::format("tensor {} lies outside the file's {} bytes of data", key, data.size()));
  }
  const std::uint64_t expected = element_count(tensor.shape, name) * size;
  if (offsets[1] - offsets[0] != expected) {
    corrupt(name, fmt::format("tensor {} has {} bytes where its shape needs {}", key,
                              offsets[1] - offsets[0], expected));
  }
  tensor.bytes = data.subspan(offsets[0], expected);
  return tensor;
}

}  // namespace

std::size_t dtype_size(const std::string& dtype) {
  if (dtype == "F64" || dtype == "I64" || dtype == "U64") {
    return 8;
  }
  if (dtype == "F32" || dtype == "I32" || dtype == "U32") {
    return 4;
  }
  if (dtype == "F16" || dtype == "BF16" || dtype == "I16" || dtype == "U16") {
    return 2;
  }
  return dtype == "I8" || dtype == "U8" || dtype == "BOOL" ? 1 : 0;
}

std::map<std::string, StoredTensor> Safetensors::parse(
    std::span<const std::byte> bytes, const std::string& name,
    std::map<std::string, std::string>* metadata) {
  std::uint64_t header_size = 0;
  if (bytes.size() < sizeof header_size) {
    corrupt(name, fmt::format("it has {} bytes, too few for a safetensors header", bytes.size()));
  }
  std::memcpy(&header_size, bytes.data(), sizeof header_size);
  if (header_size > max_header || header_size > bytes.size() - sizeof header_size) {
    corrupt(name,
            fmt::format("its header claims {} bytes of a file of {}", header_size, bytes.size()));
  }
  const auto* text = reinterpret_cast<const char*>(bytes.data() + sizeof header_size);
  const json header = json::parse(text, text + header_size, nullptr, false);
  if (!header.is_object()) {
    corrupt(name, "its header is not a JSON object");
  }
  const auto data = bytes.subspan(sizeof header_size + header_size);
  std::map<std::string, StoredTensor> tensors;
  for (const auto& [key, entry] : header.items()) {
    if (key != "__metadata__") {
      tensors.emplace(key, parse_entry(key, entry, data, name));
    } else if (metadata != nullptr && entry.is_object()) {
      for (const auto& [item, value] : entry.items()) {
        (*metadata)[item] = value.is_string() ? value.get<std::string>() : value.dump();
      }
    }
  }
  return tensors;
}

Safetensors::Safetensors(const fs::path& path)
    : path_(path), file_(path), tensors_(parse(file_.bytes(), path.string(), &metadata_)) {}

void write_safetensors(const fs::path& path, const std::map<std::string, StoredTensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  json header = json::object();
  if (!metadata.empty()) {
    header["__metadata__"] = metadata;
  }
  std::size_t offset = 0;
  for (const auto& [key, tensor] : tensors) {
    header[key] = {{"dtype", tensor.dtype},
                   {"shape", tensor.shape},
                   {"data_offsets", {offset, offset + tensor.bytes.size()}}};
    offset += tensor.bytes.size();
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  const std::uint64_t header_size = text.size();
  std::string file(sizeof header_size, '\0');
  std::memcpy(file.data(), &header_size, sizeof header_size);
  file.reserve(file.size() + text.size() + offset);
  file += text;
  for (const auto& [key, tensor] : tensors) {
    file.append(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size());
  }
  write_file_atomically(path, file);
}

}  // namespace longhand
