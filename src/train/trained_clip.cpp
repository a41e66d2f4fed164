#include "train/trained_clip.h"

#include "models/checkpoint_files.h"
#include "models/config.h"
#include "pipeline/text_encoder.h"
#include "text/clip_tokenizer.h"
#include "train/ranks.h"

namespace longhand {
namespace {

constexpr std::int64_t images_at_once = 64;

}  // namespace

TrainedClip::TrainedClip(const fs::path& folder, at::ScalarType dtype)
    : folder_(folder),
      dtype_(dtype),
      text_weights_(Weights::mapped(weight_files(folder / "text_encoder", "model"), dtype)),
      text_encoder_(text_weights_, CLIPTextConfig::from_json(
                                       read_config(folder / "text_encoder" / "config.json"))),
      image_weights_(Weights::mapped(weight_files(folder / "image_encoder", "model"), dtype)),
      image_encoder_(image_weights_, CLIPVisionConfig::from_json(
                                         read_config(folder / "image_encoder" / "config.json"))),
      tokenizer_(tokenizer_for(text_encoder_.config(), folder / "tokenizer")) {}

at::Tensor TrainedClip::ids(const std::vector<std::string>& captions) const {
  return caption_ids(captions, *tokenizer_, text_encoder_.config().max_position_embeddings,
                     tokenizer_->end());
}

TextEncoding TrainedClip::read(const at::Tensor& ids) const {
  const c10::AutoGradMode no_grad(false);
  return text_encoder_.forward(ids);
}

at::Tensor TrainedClip::image_embeds(const at::Tensor& latents) const {
  const c10::AutoGradMode no_grad(false);
  std::vector<at::Tensor> parts;
  for (const at::Tensor& part : latents.split(images_at_once)) {
    parts.push_back(image_encoder_.forward(part.to(dtype_)).image_embeds);
  }
  return at::cat(parts);
}

at::Tensor TrainedClip::image_embeds_together(const at::Tensor& latents) const {
  if (ranks::size() == 1) {
    return image_embeds(latents);
  }
  const c10::AutoGradMode no_grad(false);
  const std::int64_t all = latents.size(0), each = (all + ranks::size() - 1) / ranks::size();
  // The last part goes on at the beginning, so that all are equally long.
  const at::Tensor own = at::remainder(at::arange(each) + ranks::rank() * each, all);
  const at::Tensor embeds = image_embeds(latents.index_select(0, own));
  return ranks::gather(embeds.to(at::kFloat).contiguous()).narrow(0, 0, all).to(dtype_);
}

void TrainedClip::copy(const char* part, const fs::path& to) const {
  copy_files(folder_ / part, to);
}

}  // namespace longhand
