#include "nn/packing.h"

#include "nn/operators.h"

namespace longhand {
namespace {

using at::Tensor;
using OptionalTensor = std::optional<Tensor>;
using Scalars = c10::List<std::optional<at::Scalar>>;

OptionalTensor optional(const Tensor& tensor) {
  return tensor.defined() ? OptionalTensor(tensor) : std::nullopt;
}

}  // namespace

bool packing_helps(at::ScalarType dtype) {
  return dtype == at::kFloat ||
         (dtype == at::kBFloat16 && __builtin_cpu_supports("avx512bf16") != 0);
}

Tensor pack_linear(const Tensor& weight) {
  static const auto reorder = operator_named<Tensor(const Tensor&, std::optional<std::int64_t>)>(
      "mkldnn::_reorder_linear_weight");
  return reorder.call(weight, std::nullopt);
}

Tensor packed_linear(const Tensor& x, const Tensor& packed, const Tensor& bias) {
  static const auto linear =
      operator_named<Tensor(const Tensor&, const Tensor&, const OptionalTensor&, std::string_view,
                            Scalars, std::optional<std::string_view>)>("mkldnn::_linear_pointwise");
  return linear.call(x, packed, optional(bias), "none", Scalars(), "");
}

bool ConvolutionPack::ready_for(at::IntArrayRef sizes) const {
  const std::shared_ptr<const Entry> entry = last_.load();
  return entry && entry->sizes == sizes;
}

Tensor ConvolutionPack::forward(const Tensor& x, const Tensor& bias) const {
  static const auto reorder =
      operator_named<Tensor(const Tensor&, at::IntArrayRef, at::IntArrayRef, at::IntArrayRef,
                            std::int64_t, at::OptionalIntArrayRef)>(
          "mkldnn::_reorder_convolution_weight");
  static const auto convolution = operator_named<Tensor(
      const Tensor&, const Tensor&, const OptionalTensor&, at::IntArrayRef, at::IntArrayRef,
      at::IntArrayRef, std::int64_t, std::string_view, Scalars, std::optional<std::string_view>)>(
      "mkldnn::_convolution_pointwise");
  const std::array<std::int64_t, 2> padding = {padding_, padding_}, stride = {stride_, stride_};
  const std::array<std::int64_t, 2> dilation = {1, 1};
  std::shared_ptr<const Entry> entry = last_.load();
  if (!entry || entry->sizes != x.sizes()) {
    const Tensor weight = weight_().contiguous(at::MemoryFormat::ChannelsLast);
    entry = std::make_shared<const Entry>(
        Entry{x.sizes().vec(), reorder.call(weight, padding, stride, dilation, 1, x.sizes())});
    last_.store(entry);
  }
  return convolution.call(x, entry->packed, optional(bias), padding, stride, dilation, 1, "none",
                          Scalars(), "");
}

}  // namespace longhand
