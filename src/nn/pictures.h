// Pictures as tensors: Image ↔ [3, height, width], float32 in -1…1.
#pragma once

#include "io/image.h"
#include "nn/torch.h"

namespace longhand {

/// RGB or RGBA (alpha is dropped) → [3, height, width].
at::Tensor picture_to_tensor(const Image& image);

/// [3, height, width] of any floating type, on any device → RGB; values beyond -1…1 are clamped,
/// rounded to 8 bits as diffusers does.
Image tensor_to_picture(const at::Tensor& tensor);

/// Equal pictures in rows on a white ground, `gap` pixels apart.
Image contact_sheet(const std::vector<Image>& pictures, int columns, int gap = 4);

}  // namespace longhand
