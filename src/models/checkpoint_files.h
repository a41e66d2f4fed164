// Which files hold a component's weights: one safetensors file, or several with an index.
#pragma once

#include <string>
#include <vector>

#include "core/files.h"

namespace longhand {

/// The files of `stem` ("diffusion_pytorch_model", "model") in a component's folder:
/// STEM.safetensors, else the shards that STEM.safetensors.index.json names, else the same of the
/// variants fp16 and bf16, in the names of diffusers and of transformers. Throws not_found, naming
/// what is missing; invalid_argument where there are only pickles; corrupt for a broken index.
std::vector<fs::path> weight_files(const fs::path& folder, const std::string& stem);

/// Throws invalid_argument where a file's name ends as pickles do (.ckpt, .bin, .pt, .pth): says
/// why they are refused and how to convert one.
void refuse_pickle(const fs::path& path);

}  // namespace longhand
