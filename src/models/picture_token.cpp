#include "models/picture_token.h"

#include "core/error.h"

namespace longhand {

at::Tensor with_picture_token(const at::Tensor& context, const at::Tensor& image_embeds) {
  if (context.size(2) != image_embeds.size(1)) {
    fail(Kind::corrupt,
         "a painter that attends to pictures' embeddings needs them as wide as its text encoder's "
         "states; they are {} and {}",
         image_embeds.size(1), context.size(2));
  }
  return at::cat({image_embeds.unsqueeze(1), context.narrow(1, 1, context.size(1) - 1)}, 1);
}

}  // namespace longhand
