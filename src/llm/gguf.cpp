#include "llm/gguf.h"

#include <fmt/ostream.h>
#include <ggml.h>
#include <gguf.h>

#include "core/error.h"
#include "llm/chat_vocabulary.h"
#include "nn/parallel.h"

namespace longhand {
namespace {

constexpr std::int64_t no_key = -1;

std::vector<std::int64_t> shape_of(const gguf_context* context, std::int64_t id) {
  const std::int64_t* sizes = gguf_get_tensor_ne(context, id);  // the innermost first
  int dims = GGML_MAX_DIMS;
  while (dims > 1 && sizes[dims - 1] == 1) {
    --dims;
  }
  return {std::make_reverse_iterator(sizes + dims), std::make_reverse_iterator(sizes)};
}

std::optional<at::ScalarType> stored_dtype(ggml_type type) {
  switch (type) {
    case GGML_TYPE_F32:
      return at::kFloat;
    case GGML_TYPE_F16:
      return at::kHalf;
    case GGML_TYPE_BF16:
      return at::kBFloat16;
    default:
      return std::nullopt;
  }
}

}  // namespace

void Gguf::ContextDeleter::operator()(gguf_context* context) const { gguf_free(context); }

Gguf::Gguf(const fs::path& path) : path_(path), file_(path) {
  require_gguf(path);
  llama_errors();
  context_.reset(gguf_init_from_file(path.c_str(), {.no_alloc = true, .ctx = nullptr}));
  if (!context_) {
    fail(Kind::corrupt, "{} is not a whole GGUF model: {}", path.string(), llama_errors());
  }
}

Gguf::~Gguf() = default;

std::int64_t Gguf::key(const std::string& name) const {
  return gguf_find_key(context_.get(), name.c_str());
}

bool Gguf::has(const std::string& name) const { return key(name) != no_key; }

std::string Gguf::text(const std::string& name) const {
  const std::int64_t id = key(name);
  if (id == no_key || gguf_get_kv_type(context_.get(), id) != GGUF_TYPE_STRING) {
    fail(Kind::corrupt, "{}: {} is missing or no text", path_.string(), name);
  }
  return gguf_get_val_str(context_.get(), id);
}

std::int64_t Gguf::whole(const std::string& name, std::int64_t otherwise) const {
  return has(name) ? whole(name) : otherwise;
}

std::int64_t Gguf::whole(const std::string& name) const {
  const std::int64_t id = key(name);
  const gguf_type type = id == no_key ? GGUF_TYPE_COUNT : gguf_get_kv_type(context_.get(), id);
  switch (type) {
    case GGUF_TYPE_UINT32:
      return gguf_get_val_u32(context_.get(), id);
    case GGUF_TYPE_INT32:
      return gguf_get_val_i32(context_.get(), id);
    case GGUF_TYPE_UINT64: {
      const std::uint64_t value = gguf_get_val_u64(context_.get(), id);
      if (value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        return static_cast<std::int64_t>(value);
      }
      break;
    }
    default:
      break;
  }
  fail(Kind::corrupt, "{}: {} is missing or no whole number", path_.string(), name);
}

double Gguf::number(const std::string& name, double otherwise) const {
  const std::int64_t id = key(name);
  if (id == no_key) {
    return otherwise;
  }
  if (gguf_get_kv_type(context_.get(), id) != GGUF_TYPE_FLOAT32) {
    fail(Kind::corrupt, "{}: {} is no number", path_.string(), name);
  }
  return gguf_get_val_f32(context_.get(), id);
}

bool Gguf::has_tensor(const std::string& name) const {
  return gguf_find_tensor(context_.get(), name.c_str()) != no_key;
}

std::int64_t Gguf::rows(const std::string& name) const {
  const std::int64_t id = gguf_find_tensor(context_.get(), name.c_str());
  if (id == no_key) {
    fail(Kind::corrupt, "{} has no tensor {}", path_.string(), name);
  }
  return shape_of(context_.get(), id).front();
}

at::Tensor Gguf::tensor(const std::string& name, at::IntArrayRef shape,
                        at::ScalarType dtype) const {
  const std::int64_t id = gguf_find_tensor(context_.get(), name.c_str());
  if (id == no_key) {
    fail(Kind::corrupt, "{} has no tensor {}", path_.string(), name);
  }
  const auto stored = shape_of(context_.get(), id);
  if (shape != at::IntArrayRef(stored)) {
    fail(Kind::corrupt, "{}: {} has the shape {}, expected {}", path_.string(), name,
         fmt::streamed(at::IntArrayRef(stored)), fmt::streamed(shape));
  }
  const std::size_t begin =
      gguf_get_data_offset(context_.get()) + gguf_get_tensor_offset(context_.get(), id);
  const std::size_t size = gguf_get_tensor_size(context_.get(), id);
  if (begin > file_.bytes().size() || size > file_.bytes().size() - begin) {
    fail(Kind::corrupt, "{} is cut off: {} lies beyond its end", path_.string(), name);
  }
  const std::byte* bytes = file_.bytes().data() + begin;
  const ggml_type type = gguf_get_tensor_type(context_.get(), id);
  if (const auto plain = stored_dtype(type)) {
    auto* data = const_cast<std::byte*>(bytes);  // nothing writes to it
    return at::from_blob(data, shape, [owner = file_.owner()](void*) {}, *plain).to(dtype);
  }
  const ggml_type_traits* traits = ggml_get_type_traits(type);
  if (traits->to_float == nullptr) {
    fail(Kind::corrupt, "{}: {} is of the type {}, which ggml cannot dequantise", path_.string(),
         name, traits->type_name);
  }
  const std::int64_t width = shape.back(), rows = c10::multiply_integers(shape) / width;
  const auto row_bytes = static_cast<std::int64_t>(ggml_row_size(type, width));
  at::Tensor wide = at::empty(shape, at::kFloat);
  auto* to = wide.mutable_data_ptr<float>();
  parallel_for(rows, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t row = first; row < last; ++row) {
      traits->to_float(bytes + row * row_bytes, to + row * width, width);
    }
  });
  return wide.to(dtype);
}

}  // namespace longhand
