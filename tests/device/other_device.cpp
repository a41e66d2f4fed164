#include "device/other_device.h"

#include <ATen/EmptyTensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/Allocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <cstdlib>
#include <optional>
#include <vector>

namespace {

using at::Tensor;
using c10::IValue;

constexpr auto backend = c10::DeviceType::PrivateUse1;
const c10::DispatchKeySet keys(c10::DispatchKey::PrivateUse1);

// Device pointers are the processor's with a bit set that makes any access through them a fault.
constexpr std::uintptr_t mark = std::uintptr_t{1} << 62;

void* marked(void* pointer) {
  return reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(pointer) | mark);
}

void* unmarked(const void* pointer) {
  return reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(pointer) & ~mark);
}

class Memory : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    constexpr std::size_t line = 64;
    void* memory = std::aligned_alloc(line, std::max(line, (bytes + line - 1) / line * line));
    return {marked(memory), memory, &std::free, c10::Device(backend, 0)};
  }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    default_copy_data(unmarked(to), unmarked(from), bytes);
  }
};

Memory memory;

struct Guard : c10::impl::NoOpDeviceGuardImpl<backend> {
  c10::Device getDevice() const override { return {backend, 0}; }
  c10::Device exchangeDevice(c10::Device) const override { return {backend, 0}; }
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard)

Tensor empty_strided(at::IntArrayRef size, at::IntArrayRef stride,
                     std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
                     std::optional<at::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(size, stride, &memory, keys, dtype.value_or(at::kFloat));
}

Tensor empty(at::IntArrayRef size, std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
             std::optional<at::Device>, std::optional<bool>,
             std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(size, &memory, keys, dtype.value_or(at::kFloat), format);
}

/// The same memory as a tensor of the processor's.
Tensor on_host(const Tensor& x) {
  return at::from_blob(
      unmarked(x.data_ptr()), x.sizes(), x.strides(), [x](void*) {},
      at::TensorOptions(x.scalar_type()));
}

Tensor copied_here(const Tensor& host) {
  const Tensor copy = empty_strided(host.sizes(), host.strides(), host.scalar_type(), {}, {}, {});
  on_host(copy).copy_(host);
  return copy;
}

Tensor copy_from(const Tensor& from, const Tensor& to, bool) {
  const auto host = [](const Tensor& x) { return x.is_cpu() ? x : on_host(x); };
  host(to).copy_(host(from));
  return to;
}

/// One call of an operation on the processor's tensors in place of this device's.
class Call {
 public:
  explicit Call(const c10::OperatorHandle& op) : op_(op), schema_(op.schema()) {}

  void run(torch::jit::Stack& stack) {
    const std::size_t first = stack.size() - schema_.arguments().size();
    for (std::size_t i = 0; i < schema_.arguments().size(); ++i) {
      const auto* alias = schema_.arguments()[i].alias_info();
      stack[first + i] = argument(stack[first + i], alias != nullptr && alias->isWrite());
    }
    op_.callBoxed(&stack);
    for (const Place& place : places_) {
      give_back(place);
    }
    for (std::size_t i = stack.size() - schema_.returns().size(); i < stack.size(); ++i) {
      TORCH_CHECK(!stack[i].isTensorList(), schema_.name(), " returns a list of tensors");
      if (stack[i].isTensor() && stack[i].toTensor().defined()) {
        stack[i] = result(stack[i].toTensor());
      }
    }
  }

 private:
  struct Place {
    Tensor here, host;
    bool sized;  // by the operation
  };

  IValue argument(const IValue& value, bool written) {
    if (value.isTensor()) {
      return host_of(value.toTensor(), written);
    }
    if (value.isTensorList()) {
      c10::List<Tensor> list;
      for (const Tensor& each : value.toTensorVector()) {
        list.push_back(host_of(each, written));
      }
      return list;
    }
    if (value.isOptionalTensorList()) {
      c10::List<std::optional<Tensor>> list;
      for (const std::optional<Tensor>& each : value.toOptionalTensorVector()) {
        list.push_back(each ? std::optional<Tensor>(host_of(*each, written)) : std::nullopt);
      }
      return list;
    }
    return value.isDevice() ? IValue(c10::Device(at::kCPU)) : value;
  }

  Tensor host_of(const Tensor& x, bool written) {
    if (!x.defined() || x.unsafeGetTensorImpl()->is_wrapped_number()) {
      return x;
    }
    TORCH_CHECK(x.device().type() == backend, schema_.name(), " is given a tensor on ", x.device(),
                " of ", x.sizes(), " beside one on ", c10::Device(backend, 0));
    const bool sized = written && x.numel() == 0;
    places_.push_back({x, sized ? at::empty({0}, x.scalar_type()) : on_host(x), sized});
    return places_.back().host;
  }

  /// Memory is shared with the processor's tensor, but for one whose size was open.
  static void give_back(const Place& place) {
    if (place.sized) {
      const Tensor copy = copied_here(place.host);
      c10::TensorImpl* own = place.here.unsafeGetTensorImpl();
      own->set_storage_keep_dtype(copy.storage());
      own->set_sizes_and_strides(copy.sizes(), copy.strides());
    }
  }

  Tensor result(const Tensor& host) const {
    for (const Place& place : places_) {
      if (place.host.is_same(host)) {
        return place.here;
      }
      TORCH_CHECK(!host.is_alias_of(place.host), schema_.name(), " returns a view");
    }
    return copied_here(host);
  }

  const c10::OperatorHandle& op_;
  const c10::FunctionSchema& schema_;
  std::vector<Place> places_;
};

void call_on_host(const c10::OperatorHandle& op, torch::jit::Stack* stack) { Call(op).run(*stack); }

/// What the processor sees of an argument of a kernel below.
Tensor checked_host(const Tensor& x) {
  TORCH_CHECK(x.device().type() == backend, "a kernel is given a tensor on ", x.device());
  return on_host(x);
}

std::optional<Tensor> checked_host(const std::optional<Tensor>& x) {
  return x && x->defined() ? std::optional<Tensor>(checked_host(*x)) : std::nullopt;
}

Tensor convolution(const Tensor& x, const Tensor& weight, const std::optional<Tensor>& bias,
                   at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation,
                   bool transposed, at::IntArrayRef output_padding, std::int64_t groups) {
  return copied_here(at::convolution(checked_host(x), checked_host(weight), checked_host(bias),
                                     stride, padding, dilation, transposed, output_padding,
                                     groups));
}

/// As on a GPU, what comes out is not channels-last.
std::tuple<Tensor, Tensor, Tensor> group_norm(const Tensor& x, const std::optional<Tensor>& weight,
                                              const std::optional<Tensor>& bias, std::int64_t n,
                                              std::int64_t channels, std::int64_t pixels,
                                              std::int64_t groups, double epsilon) {
  const auto [y, mean, inverse] =
      at::native_group_norm(checked_host(x).contiguous(), checked_host(weight), checked_host(bias),
                            n, channels, pixels, groups, epsilon);
  return {copied_here(y), copied_here(mean), copied_here(inverse)};
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, library) {
  library.fallback(torch::CppFunction::makeFromBoxedFunction<&call_on_host>());
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, library) {
  library.impl("empty.memory_format", empty);
  library.impl("empty_strided", empty_strided);
  library.impl("_copy_from", copy_from);
  library.impl("as_strided", at::native::as_strided_tensorimpl);
  library.impl("view", at::native::view);
  library.impl("_reshape_alias", at::native::_reshape_alias);
  library.impl("convolution_overrideable", convolution);
  library.impl("native_group_norm", group_norm);
}

}  // namespace

namespace longhand {

at::Device other_device() { return {backend, 0}; }

}  // namespace longhand
