// Foreign layouts of published checkpoints, as Layouts: their tensors under diffusers' and
// transformers' names. Each takes a component's tensors without the prefix that a checkpoint of
// several components puts before them, and leaves names that it does not know as they are, so that
// loading reports them.
#pragma once

#include <string>

#include "nn/weights.h"

namespace longhand {

/// The UNet of CompVis' and Stability's code (diffusers convert_ldm_unet_checkpoint).
TensorMap original_unet(TensorMap tensors);
/// The same for one name, where the network has `layers_per_block`; parts may be joined by dots or,
/// as in LoRAs of kohya's scripts, by underscores.
std::string original_unet_name(const std::string& name, int layers_per_block);

/// The names of Ho et al. 2020 in PyTorch: CompVis' autoencoder (diffusers
/// convert_ldm_vae_checkpoint), and the UNet of pytorch_diffusion and SDEdit (UNet2DModel's names).
/// Attention's 1×1 convolutions become linear layers.
TensorMap ddpm_names(TensorMap tensors);

/// OpenCLIP's text encoder (diffusers convert_open_clip_checkpoint): in_proj is split into q_proj,
/// k_proj and v_proj, text_projection transposed.
TensorMap open_clip_text(TensorMap tensors);
/// The same for Stable Diffusion 2, which reads the last layer but one: the last and the projection
/// are left out.
TensorMap open_clip_text_penultimate(TensorMap tensors);

/// Attention in autoencoders and unconditional UNets that early diffusers wrote: query, key, value
/// and proj_attn (diffusers _fix_state_dict_keys_on_load). Other names stay.
TensorMap early_attention_names(TensorMap tensors);

}  // namespace longhand
