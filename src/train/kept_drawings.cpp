#include "train/kept_drawings.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/log.h"
#include "core/progress.h"
#include "models/config.h"
#include "nn/pictures.h"
#include "nn/weights.h"
#include "train/latents.h"
#include "train/ranks.h"

namespace longhand {
namespace {

constexpr std::int64_t encode_batch = 32;

/// Latents of all, not finite where a picture cannot be drawn.
at::Tensor encoded(const std::vector<Drawing>& drawings, const Autoencoder& vae, int resolution,
                   at::ScalarType dtype) {
  const c10::AutoGradMode no_grad(false);
  Progress progress("encoding", "drawings", std::ssize(drawings), 0);
  std::vector<at::Tensor> parts;
  for (std::int64_t at = 0; at < std::ssize(drawings); at += encode_batch) {
    const std::int64_t end = std::min<std::int64_t>(std::ssize(drawings), at + encode_batch);
    std::vector<at::Tensor> pictures;
    for (std::int64_t i = at; i < end; ++i) {
      try {
        pictures.push_back(
            picture_to_tensor(drawn(drawings[static_cast<std::size_t>(i)], resolution)));
      } catch (const Error& error) {
        spdlog::debug("{}", error.what());
        pictures.push_back(at::full({3, resolution, resolution}, std::nan("")));
      }
    }
    parts.push_back(
        vae.latents_of(at::stack(pictures).to(dtype).contiguous(at::MemoryFormat::ChannelsLast)));
    progress.advance(end - at);
  }
  return at::cat(parts);
}

}  // namespace

KeptDrawings::KeptDrawings(const Recipe& recipe, const Autoencoder& vae, const fs::path& folder,
                           at::ScalarType dtype)
    : share_(config_value(recipe.config, "drawings_share", 0.3)) {
  const auto table = config_value<std::string>(recipe.config, "drawings", "");
  if (table.empty()) {
    share_ = 0;
    return;
  }
  all_ = read_drawings(table);
  const fs::path kept = folder / "drawings.safetensors";
  if (ranks::rank() == 0 && !fs::exists(kept)) {
    fs::create_directories(folder);
    save_tensors(kept, {{"latents", encoded(all_, vae, recipe.resolution, dtype)}}, at::kBFloat16);
  }
  ranks::barrier();
  latents_ = load_tensors(kept).at("latents");
  if (latents_.size(0) != std::ssize(all_)) {
    fail(Kind::corrupt, "{} has {} drawings and {} {}; remove the first to encode them anew",
         kept.string(), latents_.size(0), table, all_.size());
  }
  for (std::int64_t i = 0; i < std::ssize(all_); ++i) {
    if (latents_[i].isfinite().all().item<bool>()) {
      (drawing_held_back(i) ? held_back_ : trained_).push_back(i);
    }
  }
  if (trained_.empty()) {
    fail(Kind::corrupt, "{}: none of its {} pictures can be drawn", table, all_.size());
  }
  const auto first = trained_.front();
  check_kept(latents_[first],
             picture_to_tensor(drawn(all_[static_cast<std::size_t>(first)], recipe.resolution)),
             vae, dtype, kept);
  spdlog::info("{}: {} drawings to train on, {} held back, {} that cannot be drawn", table,
               trained_.size(), held_back_.size(),
               all_.size() - trained_.size() - held_back_.size());
}

std::int64_t KeptDrawings::draw(Random& random) const { return random.pick(trained_); }

}  // namespace longhand
