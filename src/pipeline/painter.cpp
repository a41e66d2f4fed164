#include "pipeline/painter.h"

#include <algorithm>

#include "core/error.h"
#include "models/config.h"
#include "nn/dtype.h"
#include "nn/pictures.h"
#include "pipeline/sampling.h"
#include "text/clip_tokenizer.h"

namespace longhand {
namespace {

constexpr int largest_side = 4096;

/// A side in latents; throws where it is no multiple of `factor` or beyond what can be painted.
int latent_side(int side, int factor, const char* name) {
  if (side % factor != 0 || side < factor || side > largest_side) {
    const int nearest = std::clamp((side + factor / 2) / factor * factor, factor, largest_side);
    fail(Kind::invalid_argument,
         "{} {} cannot be painted: it must be a multiple of {} up to {}; the nearest is {}", name,
         side, factor, largest_side, nearest);
  }
  return side / factor;
}

}  // namespace

fs::path model_folder(const std::string& name_or_path) {
  const fs::path folder =
      name_or_path == "pocket" ? home() / "models" / "pocket" : fs::path(name_or_path);
  if (!fs::is_regular_file(folder / "model_index.json")) {
    fail(Kind::not_found,
         "{} is not a model folder (it has no model_index.json); name \"pocket\" or a folder in "
         "the diffusers layout",
         folder.string());
  }
  return folder;
}

ModelDefaults ModelDefaults::of(const fs::path& folder) {
  ModelDefaults defaults;
  if (fs::exists(folder / "longhand.json")) {
    const nlohmann::json json = read_config(folder / "longhand.json");
    defaults.steps = config_value(json, "steps", defaults.steps);
    defaults.guidance = config_value(json, "guidance", defaults.guidance);
    defaults.scheduler = config_value(json, "scheduler", defaults.scheduler);
    defaults.about = config_value(json, "about", defaults.about);
  }
  if (fs::exists(folder / "upsampling.json")) {
    defaults.upsampling = folder / "upsampling.json";
  }
  return defaults;
}

at::Tensor caption_ids(const std::vector<std::string>& captions, const CLIPTextConfig& config) {
  const auto tokenizer = ClipTokenizer::shared();
  const int length = config.max_position_embeddings;
  at::Tensor ids = at::empty({static_cast<std::int64_t>(captions.size()), length}, at::kLong);
  for (std::size_t i = 0; i < captions.size(); ++i) {
    const auto row = tokenizer->encode_padded(captions[i], length, ClipTokenizer::end_of_text);
    std::ranges::copy(row,
                      ids.mutable_data_ptr<std::int64_t>() + static_cast<std::int64_t>(i) * length);
  }
  return ids;
}

Painter::Painter(const fs::path& folder, const std::string& dtype)
    : Painter(folder, dtype_named(dtype)) {}

Painter::Painter(const fs::path& folder, at::ScalarType dtype)
    : dtype_(dtype),
      unet_weights_(
          Weights::mapped({folder / "unet" / "diffusion_pytorch_model.safetensors"}, dtype)),
      text_weights_(Weights::mapped({folder / "text_encoder" / "model.safetensors"}, dtype)),
      unet_(unet_weights_,
            UNet2DConditionConfig::from_json(read_config(folder / "unet" / "config.json"))),
      text_encoder_(text_weights_, CLIPTextConfig::from_json(
                                       read_config(folder / "text_encoder" / "config.json"))),
      autoencoder_(load_autoencoder(folder / "vae", dtype)),
      schedule_(
          SchedulerConfig::from_json(read_config(folder / "scheduler" / "scheduler_config.json"))) {
  const UNet2DConditionConfig& unet = unet_.config();
  if (unet.cross_attention_dim != text_encoder_.config().hidden_size) {
    fail(Kind::corrupt,
         "{}: the unet reads text of width {} and the text encoder gives {}; they are not of one "
         "model",
         folder.string(), unet.cross_attention_dim, text_encoder_.config().hidden_size);
  }
  if (text_encoder_.config().vocab_size < ClipTokenizer::vocabulary_size) {
    fail(Kind::corrupt, "{}: the text encoder knows {} tokens; CLIP's tokenizer has {}",
         folder.string(), text_encoder_.config().vocab_size, ClipTokenizer::vocabulary_size);
  }
  if (unet.in_channels != autoencoder_->latent_channels() ||
      unet.out_channels != unet.in_channels) {
    fail(Kind::corrupt,
         "{}: the unet takes {} channels and the vae gives {}; they are not of one model",
         folder.string(), unet_.config().in_channels, autoencoder_->latent_channels());
  }
}

Size Painter::own_size() const {
  const int side = unet_.config().sample_size * autoencoder_->factor();
  return {side, side};
}

at::Tensor Painter::encode(const std::vector<std::string>& captions) const {
  return text_encoder_.forward(caption_ids(captions, text_encoder_.config())).last_hidden_state;
}

at::Tensor Painter::noise(NoiseSource& source, std::size_t count,
                          const PaintOptions& options) const {
  const int factor = autoencoder_->factor();
  const int height = latent_side(options.height, factor, "height");
  const int width = latent_side(options.width, factor, "width");
  return source
      .draw({static_cast<std::int64_t>(count), autoencoder_->latent_channels(), height, width})
      .contiguous(at::MemoryFormat::ChannelsLast);
}

void Painter::check(const PaintOptions& options) const {
  latent_side(options.height, autoencoder_->factor(), "height");
  latent_side(options.width, autoencoder_->factor(), "width");
  make_scheduler(options.scheduler, schedule_, options.steps);
}

std::vector<Image> Painter::painted(const std::vector<Order>& orders,
                                    const PaintOptions& options) const {
  const c10::InferenceMode inference;
  std::vector<std::string> captions = {""};
  std::vector<std::int64_t> seeds;
  for (const Order& order : orders) {
    captions.push_back(order.caption);
    seeds.push_back(order.seed);
  }
  NoiseSource source(seeds);
  const at::Tensor start = noise(source, orders.size(), options);
  const auto count = static_cast<std::int64_t>(orders.size());
  const at::Tensor states = encode(captions);
  const at::Tensor context = states.narrow(0, 1, count),
                   empty = states.narrow(0, 0, 1).expand_as(context);
  const SamplingOptions sampling{options.scheduler, options.steps, options.guidance,
                                 options.on_step};
  const at::Tensor latents =
      sample_latents(unet_, schedule_, sampling, start, source, context, empty);
  const at::Tensor pictures =
      autoencoder_->pictures_of(latents.to(dtype_).contiguous(at::MemoryFormat::ChannelsLast));
  std::vector<Image> images;
  for (std::int64_t i = 0; i < count; ++i) {
    images.push_back(tensor_to_picture(pictures[i]));
  }
  return images;
}

std::vector<Image> Painter::paint(const std::vector<Order>& orders,
                                  const PaintOptions& options) const {
  try {
    return painted(orders, options);
  } catch (const c10::Error& error) {
    const bool memory =
        std::string_view(error.what()).find("allocate memory") != std::string_view::npos;
    fail(memory ? Kind::out_of_memory : Kind::internal, "{}{}", error.what_without_backtrace(),
         memory ? "; take a smaller size or fewer pictures at once" : "");
  }
}

}  // namespace longhand
