// Captions the training scenes anew with a trained captioner: a table with a short and a
// descriptive caption of each, from kept latents (Betker et al. 2023, section 2.2). Stopped, it
// goes on.
#include "core/error.h"
#include "core/interrupt.h"
#include "core/progress.h"
#include "io/table.h"
#include "models/checkpoint_files.h"
#include "models/config.h"
#include "nn/dtype.h"
#include "pipeline/captioner.h"
#include "train/captions.h"
#include "train/ranks.h"
#include "train/recipe.h"

namespace longhand {
namespace {

using at::Tensor;

/// One batch's captions of a kind; what they are drawn from depends on the scene's number alone.
std::vector<std::string> captions_of(const GitForCausalLM& captioner,
                                     const ClipTokenizer& tokenizer, const Tensor& latents,
                                     const std::string& kind, const Recipe& recipe,
                                     std::int64_t first) {
  return written(captioner, tokenizer, latents,
                 {.kind = kind,
                  .temperature = config_value(recipe.config, "temperature", 0.5),
                  .seed = static_cast<std::int64_t>(recipe.seed)},
                 first);
}

/// Refuses rows of another captioner, temperature or scenes: this one would have written most of
/// the first batch again.
void check_written(const RowWriter& writer, const fs::path& out,
                   const std::vector<std::string>& anew) {
  const auto before = writer.existing();
  std::size_t rows = 0, same = 0;
  for (auto row = before->next(); row && rows < anew.size(); row = before->next()) {
    same += row->at(1) == anew[rows++] ? 1 : 0;
  }
  if (2 * same < rows) {
    fail(Kind::invalid_argument,
         "{} has captions of another captioner, temperature or of other scenes ({} of its first {} "
         "would be written again); take another folder, or remove it",
         out.string(), same, rows);
  }
}

}  // namespace

void recaption(const Recipe& recipe) {
  const c10::InferenceMode inference;
  const at::ScalarType dtype = dtype_named(recipe.dtype);
  const auto scenes = config_value<std::int64_t>(recipe.config, "scenes", 10000);
  const fs::path folder = recipe.model / "captioner";
  Weights weights = Weights::mapped(weight_files(folder, "model"), dtype);
  const GitForCausalLM captioner(weights,
                                 GitConfig::from_json(read_config(folder / "config.json")));
  const auto tokenizer = ClipTokenizer::beginning(captioner.config().vocab_size);
  const auto vae = load_autoencoder(recipe.model / "vae", dtype);
  const World world(recipe.world);
  const Tensor latents = kept_latents(config_value<std::string>(recipe.config, "latents", ""), *vae,
                                      world, recipe, scenes, dtype);
  if (ranks::rank() > 0) {
    return;  // it has encoded its part
  }
  fs::create_directories(recipe.out);
  RowWriter writer(recipe.out / "captions.jsonl",
                   {{written_number, Column::Type::whole}, {"short"}, {"descriptive"}});
  if (writer.before() > 0) {
    const std::int64_t count = std::min<std::int64_t>(recipe.batch, scenes);
    check_written(writer, recipe.out,
                  captions_of(captioner, *tokenizer, latents.narrow(0, 0, count).to(dtype), "short",
                              recipe, 0));
  }
  Progress progress("captioning", "scenes", scenes, writer.before());
  for (std::int64_t at = writer.before(); at < scenes; at += recipe.batch) {
    throw_if_interrupted();
    const std::int64_t count = std::min<std::int64_t>(recipe.batch, scenes - at);
    const Tensor part = latents.narrow(0, at, count).to(dtype);
    const auto brief = captions_of(captioner, *tokenizer, part, "short", recipe, at);
    const auto full = captions_of(captioner, *tokenizer, part, "descriptive", recipe, at);
    for (std::int64_t i = 0; i < count; ++i) {
      const auto row = static_cast<std::size_t>(i);
      writer.append({at + i, brief[row], full[row]});
    }
    progress.advance(count);
  }
  writer.finish();
}

}  // namespace longhand
