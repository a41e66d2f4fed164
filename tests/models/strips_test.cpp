// The autoencoders in strips beside the same as a whole. Both are the same sums in another order:
// float32 agrees to its rounding. bfloat16 rounds each map, so that a last digit here and there
// differs; what is asked is what cannot be seen, 45 dB.
#include "models/strips.h"

#include "core/memory.h"
#include "models/autoencoder_kl.h"
#include "models/autoencoder_tiny.h"
#include "models/config.h"
#include "models/vq_model.h"
#include "support.h"

using namespace longhand;

namespace {

const fs::path golden = LONGHAND_TESTS "/golden";

Tensor noise(at::IntArrayRef shape) {
  at::manual_seed(11);
  return at::randn(shape).contiguous(at::MemoryFormat::ChannelsLast);
}

/// In dB, of the range of values that `whole` has.
double psnr(const Tensor& answer, const Tensor& whole) {
  REQUIRE(answer.sizes() == whole.sizes());
  const Tensor exact = whole.to(at::kDouble);
  const double range = (exact.max() - exact.min()).item<double>();
  const double error = (answer.to(at::kDouble) - exact).square().mean().item<double>();
  return 10 * std::log10(range * range / std::max(error, 1e-30));
}

template <class Config>
struct Networks {
  Networks(const std::string& name, at::ScalarType dtype)
      : config(Config::from_json(read_config(golden / name / "config.json"))),
        weights(Weights::mapped({golden / name / "diffusion_pytorch_model.safetensors"}, dtype)),
        encoder(Scope(weights) / "encoder", config, encoded_channels(config)),
        decoder(Scope(weights) / "decoder", config) {}
  static int encoded_channels(const AutoencoderKLConfig& config) {
    return 2 * config.latent_channels;
  }
  static int encoded_channels(const VQModelConfig& config) { return config.latent_channels; }

  Config config;
  Weights weights;
  VaeEncoder encoder;
  VaeDecoder decoder;
};

/// Sizes of latents: within a strip, a multiple of its 16 rows, and none.
constexpr std::array<std::array<std::int64_t, 2>, 4> sizes{{{5, 6}, {16, 8}, {27, 9}, {41, 30}}};

template <class Config>
void compare(const std::string& name, at::ScalarType dtype) {
  const Networks<Config> networks(name, dtype);
  const int factor = networks.config.factor();
  for (const auto& [height, width] : sizes) {
    CAPTURE(name);
    CAPTURE(height);
    const Tensor z = noise({1, networks.config.latent_channels, height, width}).to(dtype);
    const Tensor whole = networks.decoder.forward(z, z);
    const Tensor pictures = noise({1, 3, height * factor, width * factor}).to(dtype);
    const Tensor encoded = networks.encoder.forward(pictures);
    for (const std::int64_t strip : {std::int64_t{1}, usual_strip}) {
      const Tensor decoded_strips = decoded_in_strips(networks.decoder, z, z, strip);
      const Tensor encoded_strips = encoded_in_strips(networks.encoder, pictures, strip);
      CHECK(psnr(decoded_strips, whole) >= 45);
      CHECK(psnr(encoded_strips, encoded) >= 45);
      if (dtype == at::kFloat) {
        CHECK(relative_error(decoded_strips, whole) < 1e-5);
        CHECK(relative_error(encoded_strips, encoded) < 1e-5);
      }
    }
  }
}

/// For its lifetime so much is free, give or take what the counting is late by.
struct Free {
  explicit Free(std::int64_t bytes) { limit_memory(bytes == 0 ? 0 : held_memory() + bytes); }
  ~Free() { limit_memory(std::numeric_limits<std::int64_t>::max() / 4); }
};

}  // namespace

TEST_CASE("autoencoders in strips") {
  const c10::InferenceMode inference;
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    compare<AutoencoderKLConfig>("vae", dtype);
    compare<VQModelConfig>("movq", dtype);
    compare<VQModelConfig>("vq", dtype);
  }
}

TEST_CASE("one strip is the whole, bit by bit") {
  const c10::InferenceMode inference;
  const Networks<AutoencoderKLConfig> networks("vae", at::kFloat);
  const Tensor z = noise({1, 4, 27, 9});
  CHECK(at::equal(decoded_in_strips(networks.decoder, z, {}), networks.decoder.forward(z, {})));
  const Tensor pictures = noise({1, 3, 54, 18});
  CHECK(
      at::equal(encoded_in_strips(networks.encoder, pictures), networks.encoder.forward(pictures)));
}

TEST_CASE("a decoder without gradients to keep takes what memory there is") {
  const c10::InferenceMode inference;
  auto weights =
      Weights::mapped({golden / "vae" / "diffusion_pytorch_model.safetensors"}, at::kFloat);
  const auto config = AutoencoderKLConfig::from_json(read_config(golden / "vae" / "config.json"));
  const AutoencoderKL model(weights, config);
  const Tensor latents = noise({3, 4, 40, 24});
  const Tensor whole = model.decode(latents), pictures = noise({3, 3, 80, 48});
  const Tensor mean = model.encode(pictures).first;
  for (const std::int64_t room : {std::int64_t{0}, std::int64_t{1} << 40}) {
    const Free free(room);
    CHECK(relative_error(model.decode(latents), whole) < 1e-5);
    CHECK(relative_error(model.encode(pictures).first, mean) < 1e-5);
  }
}

TEST_CASE("within_memory takes as many at a time as fit") {
  const c10::InferenceMode inference;
  const Tensor batch = at::arange(5, at::kFloat).view({5, 1, 1, 1});
  std::vector<std::int64_t> counts;
  bool strips = false;
  const auto run = [&](std::int64_t begin, std::int64_t count, bool in_strips) {
    counts.push_back(count);
    strips = in_strips;
    return batch.narrow(0, begin, count) * 2;
  };
  constexpr std::int64_t large = usual_bytes / 3;
  const auto counts_with = [&](std::int64_t room, std::int64_t whole = large) {
    const Free free(room);
    counts.clear();
    CHECK(at::equal(within_memory(batch, {whole, whole / 4}, run), batch * 2));
    return counts;
  };
  // What is held changes a little between two looks at it.
  CHECK(counts_with(large / 2) == std::vector<std::int64_t>{1, 1, 1, 1, 1});
  CHECK(strips);
  CHECK(counts_with(large * 5 / 2) == std::vector<std::int64_t>{2, 2, 1});
  CHECK_FALSE(strips);
  // With more room than usual_bytes these are what counts.
  CHECK(counts_with(large * 100) == std::vector<std::int64_t>{3, 2});
  CHECK_FALSE(strips);
  CHECK(counts_with(large * 100, usual_bytes / 5) == std::vector<std::int64_t>{5});
  CHECK(counts_with(large * 100, usual_bytes + 1) == std::vector<std::int64_t>{1, 1, 1, 1, 1});
  CHECK(strips);
}

TEST_CASE("AutoencoderTiny in strips") {
  const c10::InferenceMode inference;
  const fs::path folder = golden / "vae_tiny";
  auto weights = Weights::mapped({folder / "diffusion_pytorch_model.safetensors"}, at::kFloat);
  const AutoencoderTiny model(
      weights, AutoencoderTinyConfig::from_json(read_config(folder / "config.json")));
  for (const std::int64_t height : {7, 48, 70}) {
    const Tensor latents = noise({2, model.latent_channels(), height, 6});
    const Tensor whole = model.decode(latents);
    const Free free(0);
    CHECK(relative_error(model.decode(latents), whole) < 1e-5);
  }
}

TEST_CASE("bytes of an autoencoder") {
  // Measured with SDXL's vae in bfloat16 at 1024x1024: 1.49 GB as a whole, 0.82 GB in strips, more
  // than before.
  const auto config = AutoencoderKLConfig::from_json(
      read_config(home() / "data/models/stable-diffusion-xl-base-1.0/vae/config.json"));
  const VaeBytes bytes = decoding_bytes(config, 1024, 1024, at::kBFloat16);
  CHECK(bytes.whole > 1.49e9);
  CHECK(bytes.whole < 1.49e9 * 1.25);
  CHECK(bytes.in_strips > 0.82e9);
  CHECK(bytes.in_strips < 0.82e9 * 1.25);
  CHECK(decoding_bytes(config, 1024, 1024, at::kFloat).whole == 2 * bytes.whole);
  CHECK(encoding_bytes(config, 1024, 1024, at::kBFloat16).whole <= bytes.whole);
}
