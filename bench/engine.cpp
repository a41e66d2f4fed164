// Runs a model's components at full size, as the painter does, and says how long each run took:
// what bench/engine.py measures beside the peers.
//
//   engine SIDE DTYPE FOLDER…
//
// A FOLDER has the config.json and weights of a UNet2DConditionModel or an autoencoder. One run is,
// for pictures of SIDE × SIDE, a guided step (both branches in one batch) or the decoding of one
// picture. After a first run of each it prints "ready"; then each line that it reads, a folder's
// last name, is answered with the seconds of one run. DTYPE: bfloat16 or float32.
#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <cstring>
#include <functional>
#include <iostream>
#include <memory>

#include "core/error.h"
#include "core/memory.h"
#include "models/autoencoder.h"
#include "models/checkpoint_files.h"
#include "models/config.h"
#include "models/unet_2d_condition.h"
#include "nn/dtype.h"

namespace longhand {
namespace {

using Work = std::function<at::Tensor()>;

constexpr int factor = 8;  // pixels a latent, for all models that are measured

at::Tensor random(at::IntArrayRef shape, at::ScalarType dtype) {
  return at::randn(shape).to(dtype);
}

at::Tensor random_latents(std::int64_t n, std::int64_t channels, int side, at::ScalarType dtype) {
  return random({n, channels, side / factor, side / factor}, dtype)
      .contiguous(at::MemoryFormat::ChannelsLast);
}

Work guided_step(const fs::path& folder, const nlohmann::json& config, int side,
                 at::ScalarType dtype) {
  const auto c = UNet2DConditionConfig::from_json(config);
  Weights weights = Weights::mapped(weight_files(folder, "diffusion_pytorch_model"), dtype);
  const auto unet = std::make_shared<const UNet2DConditionModel>(weights, c);
  UNetCondition condition{.context = random({2, 77, c.cross_attention_dim}, dtype)};
  if (c.addition_embed_type == "text_time") {
    constexpr int ids = 6;
    condition.time_ids = at::full({2, ids}, side, at::kFloat);
    condition.text_embeds = random(
        {2, c.projection_class_embeddings_input_dim - ids * c.addition_time_embed_dim}, dtype);
  }
  const at::Tensor latents = random_latents(2, c.in_channels, side, dtype);
  const at::Tensor timesteps = at::full({2}, 500, at::kFloat);
  return [unet, run = unet->with(condition), latents, timesteps]() mutable {
    return run.forward(latents, timesteps);
  };
}

Work decoding(const fs::path& folder, int side, at::ScalarType dtype) {
  const std::shared_ptr<const Autoencoder> vae = load_autoencoder(folder, dtype);
  const at::Tensor latents = random_latents(1, vae->latent_channels(), side, dtype);
  return [=] { return vae->pictures_of(latents); };
}

Work work_of(const fs::path& folder, int side, at::ScalarType dtype) {
  const nlohmann::json config = read_config(folder / "config.json");
  return config_value<std::string>(config, "_class_name", "") == "UNet2DConditionModel"
             ? guided_step(folder, config, side, dtype)
             : decoding(folder, side, dtype);
}

double seconds(const Work& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

int side_named(const char* text) {
  int side = 0;
  std::from_chars(text, text + std::strlen(text), side);
  if (side < 64 || side > 4096 || side % 64 != 0) {
    fail(Kind::invalid_argument, "SIDE is {}; expected a multiple of 64 from 64 to 4096", text);
  }
  return side;
}

int run(int count, char** arguments) {
  const c10::InferenceMode inference;
  const int side = side_named(arguments[0]);
  const at::ScalarType dtype = dtype_named(arguments[1]);
  std::map<std::string, Work> works;
  for (int i = 2; i < count; ++i) {
    const fs::path folder = arguments[i];
    works[folder.filename().string()] = work_of(folder, side, dtype);
  }
  for (const auto& [name, work] : works) {
    work();
  }
  fmt::print("ready\n");
  std::fflush(stdout);
  for (std::string name; std::getline(std::cin, name);) {
    const auto found = works.find(name);
    if (found == works.end()) {
      fail(Kind::invalid_argument, "{} is none of the folders that were given", name);
    }
    fmt::print("{:.6f}\n", seconds(found->second));
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace longhand

int main(int count, char** arguments) {
  // As the program's own main does.
  longhand::keep_freed_memory(true);
  if (count < 4) {
    fmt::print(stderr, "usage: engine SIDE DTYPE FOLDER…\n");
    return 2;
  }
  try {
    return longhand::run(count - 1, arguments + 1);
  } catch (const std::exception& error) {
    fmt::print(stderr, "engine: {}\n", error.what());
    return 1;
  }
}
