#include "nn/pictures.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"

namespace longhand {

at::Tensor picture_to_tensor(const Image& image) {
  auto* pixels = const_cast<std::uint8_t*>(image.pixels.data());
  const at::Tensor bytes =
      at::from_blob(pixels, {image.height, image.width, image.channels}, at::kByte);
  return bytes.slice(2, 0, 3).permute({2, 0, 1}).to(at::kFloat).div(127.5).sub(1.0).contiguous();
}

Image tensor_to_picture(const at::Tensor& tensor) {
  if (tensor.dim() != 3 || tensor.size(0) != 3) {
    fail(Kind::internal, "a picture's tensor has {} dimensions; expected [3, height, width]",
         tensor.dim());
  }
  const at::Tensor bytes = (tensor.to(at::kFloat) / 2 + 0.5)
                               .clamp(0, 1)
                               .mul(255)
                               .round()
                               .to(at::kByte)
                               .permute({1, 2, 0})
                               .contiguous()
                               .cpu();
  Image image(static_cast<int>(bytes.size(1)), static_cast<int>(bytes.size(0)), 3);
  std::memcpy(image.pixels.data(), bytes.const_data_ptr<std::uint8_t>(), image.pixels.size());
  return image;
}

Image contact_sheet(const std::vector<Image>& pictures, int columns, int gap) {
  if (pictures.empty()) {
    return Image(1, 1, 3);
  }
  const int count = static_cast<int>(pictures.size());
  const int rows = (count + columns - 1) / columns;
  const int width = pictures[0].width, height = pictures[0].height;
  Image sheet(columns * (width + gap) + gap, rows * (height + gap) + gap, 3);
  std::ranges::fill(sheet.pixels, 255);
  for (int i = 0; i < count; ++i) {
    const int left = gap + i % columns * (width + gap), top = gap + i / columns * (height + gap);
    for (int y = 0; y < height; ++y) {
      std::memcpy(&sheet.pixels[(static_cast<std::size_t>(top + y) * sheet.width + left) * 3],
                  &pictures[i].pixels[static_cast<std::size_t>(y) * width * 3],
                  static_cast<std::size_t>(width) * 3);
    }
  }
  return sheet;
}

}  // namespace longhand
