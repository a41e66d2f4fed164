// SDEdit: a guide is noised to a level of the run and denoised from there (Meng et al. 2022,
// section 3.2); with a mask, what is kept is put back at each step (the appendix's algorithm with a
// mask). Steps and draws are those of diffusers' img2img pipelines, and with a mask those of its
// inpainting pipelines with a model that has no channels for masks, but for the draw for the masked
// picture, which such a model is not shown.
#pragma once

#include <memory>

#include "diffusion/sampler.h"

namespace longhand {

/// The picture that a run starts from.
struct PictureGuide {
  at::Tensor picture = {};  // [3, height, width] in -1…1
  double strength = 0.5;    // t0: 0 is no noise, 1 all of it
  at::Tensor mask = {};     // [any height, any width]: 1 is painted anew, 0 kept; undefined: all is
  int repeats = 1;          // each starts from what the last one painted
};

/// Calls of the model in all repeats.
int calls_of_edit(const Scheduler& scheduler, const PictureGuide& guide);

/// The guide's latents [n, channels, h, w] → those of the edited pictures. Each repeat takes a new
/// scheduler and draws one noise, which that of what is kept is too at all steps, as in the
/// authors' code. With a mask and strength 1 a repeat starts from noise alone. `on_step` is called
/// after each call of the model, with the clean latents that it predicts. Throws invalid_argument
/// for a strength too small for one step.
at::Tensor edited_latents(const std::function<std::unique_ptr<Scheduler>()>& new_scheduler,
                          const Denoise& denoise, const at::Tensor& latents,
                          const PictureGuide& guide, NoiseSource& noise,
                          const std::function<void(const at::Tensor& clean)>& on_step);

}  // namespace longhand
