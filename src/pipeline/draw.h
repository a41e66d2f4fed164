// From a prompt to pictures: lengthen, paint, write with all that is needed to paint them again.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "core/fields.h"
#include "io/image.h"
#include "pipeline/painter.h"
#include "pipeline/upsample.h"

namespace longhand {

/// What all painting from prompts is asked for.
struct PaintRequest {
  std::string model = "pocket";
  std::string config;
  std::string prediction_type;
  std::vector<std::string> lora;
  std::string vae;
  std::string refiner;
  double refiner_start = 0.8;
  std::string prior;
  int prior_steps = 25;
  double prior_guidance = 4;
  bool imagine = false;
  bool enlarge = false;
  std::optional<std::string> negative_prompt;
  std::string long_prompt = "warn";
  bool emphasis = false;
  std::optional<std::int64_t> seed;
  std::optional<int> steps;
  std::optional<double> guidance;
  std::optional<double> guidance_rescale;
  int best_of = 1;
  std::optional<Size> size;
  std::string scheduler;
  std::string dtype = "auto";
  std::string device = "auto";
  std::string llm;
  std::string llm_model;
  int llm_timeout = 120;
  std::string prompt_template;
  int candidates = 4;

  static constexpr auto painting_fields = std::tuple{
      field("model", &PaintRequest::model,
            "a name that `longhand models` lists, ORG/NAME, a folder in the diffusers layout, or a "
            "single .safetensors checkpoint"),
      field("lora", &PaintRequest::lora, "a LoRA's file or folder, FILE:WEIGHT for a part of it"),
      field(
          "config", &PaintRequest::config,
          "a single file's configs, where they are not those of the base model: \"sdxl-turbo\" or "
          "a folder with model_index.json"),
      field("prediction_type", &PaintRequest::prediction_type,
            "epsilon, v_prediction or sample (default: what the model's files say)"),
      field("vae", &PaintRequest::vae,
            "another autoencoder: a folder, its name, or \"tiny\", the small and quick one of the "
            "model's kind (taesd, taesdxl)"),
      field("refiner", &PaintRequest::refiner, "a model that paints the end of each run (SDXL's)"),
      field("refiner_start", &PaintRequest::refiner_start,
            "where on the way, 0 to 1, the refiner takes over", 0, 1),
      field("prior", &PaintRequest::prior,
            "the prior, where it is a model of its own; for the embedded model \"pocket\", its "
            "autoregressive prior, or another folder that has one"),
      field("prior_steps", &PaintRequest::prior_steps, "the prior's denoising steps", 1, 1000),
      field("prior_guidance", &PaintRequest::prior_guidance, "the prior's guidance scale", 1, 100),
      field("imagine", &PaintRequest::imagine,
            "paint from the embedding that the model's prior imagines for the caption, as unCLIP "
            "does (Karlo and Kandinsky always do)"),
      field("enlarge", &PaintRequest::enlarge,
            "make the picture larger by the model's super-resolution (the embedded model: twice)"),
      field("negative_prompt", &PaintRequest::negative_prompt, "what not to paint"),
      field("long_prompt", &PaintRequest::long_prompt,
            "what is beyond the text encoder's 77 tokens: \"warn\" and leave it out, or read it in "
            "\"chunks\""),
      field("emphasis", &PaintRequest::emphasis,
            "(words:1.3) in the prompt weigh more, [words] less, as in A1111"),
      field("seed", &PaintRequest::seed, "random seed", 0, 9e15),
      field("steps", &PaintRequest::steps, "denoising steps (default: the model's)", 1, 1000),
      field("guidance", &PaintRequest::guidance, "guidance scale; 1 is none (default: the model's)",
            1, 100),
      field("guidance_rescale", &PaintRequest::guidance_rescale,
            "0 to 1: how far guidance keeps the contrast that the model predicts, for models whose "
            "noise schedule ends without signal (default: the model's, else 0)",
            0, 1),
      field("best_of", &PaintRequest::best_of,
            "paint each picture so often and keep the one that its model's CLIP finds nearest to "
            "the caption",
            1, 64),
      field("size", &PaintRequest::size, "WIDTHxHEIGHT (default: as the model was trained)"),
      field("scheduler", &PaintRequest::scheduler,
            "ddim, euler, euler_a, dpm++_2m_karras, unipc, lcm, … (default: the model's)"),
      field("dtype", &PaintRequest::dtype, "auto, float32 or bfloat16"),
      field("device", &PaintRequest::device,
            "auto, cpu, cuda, or cuda:1 and so on; auto takes a GPU where libtorch finds one"),
  };
  static constexpr auto lengthening_fields = std::tuple{
      field("llm", &PaintRequest::llm, "language model: a GGUF file, or an endpoint's http://…/v1"),
      field("llm_model", &PaintRequest::llm_model, "which of the endpoint's models"),
      field("llm_timeout", &PaintRequest::llm_timeout, "seconds to wait for an endpoint's answer",
            1, 3600),
      field("template", &PaintRequest::prompt_template,
            "\"dalle3\", or a template's JSON file (default: the model's own, else dalle3)"),
      field("candidates", &PaintRequest::candidates, "captions tried for the prompt", 1, 64),
  };
  static constexpr auto fields = std::tuple_cat(painting_fields, lengthening_fields);
};

/// One prompt, and how often.
struct DrawRequest : PaintRequest {
  std::string prompt;
  int n = 1;
  bool no_upsample = false;

  static constexpr auto fields = std::tuple_cat(
      std::tuple{
          field("n", &DrawRequest::n, "how many pictures; each has the next seed", 1, 64),
          field("no_upsample", &DrawRequest::no_upsample, "paint the prompt as typed"),
      },
      PaintRequest::fields);
};

/// The painter that a request asks for, its LoRAs and refiner with it; with `previews` it can give
/// them (PaintOptions::on_preview). Throws not_found with the command that gets a model which is
/// not here.
Painter load_painter(const PaintRequest& request, bool previews = false);

/// Throws invalid_argument where the painter cannot paint from text as a resolved request asks:
/// before anything is lengthened for it.
void require_text(const Painter& painter, const PaintRequest& resolved);

/// The lengthening that a request asks for, in the manner that its model was trained on.
UpsampleRequest upsampling_of(const PaintRequest& request, const ModelDefaults& defaults,
                              int max_tokens);

/// Sets all that a request leaves open: seed (a new one), steps, guidance, size, scheduler, device.
/// Throws invalid_argument for what the painter cannot paint.
void resolve(PaintRequest& request, const ModelDefaults& defaults, const Painter& painter);

/// "25 steps of ddim, guidance 4, 128x128, auto, vae tiny": what a resolved request paints with,
/// for people and for telling runs apart.
std::string painting_text(const PaintRequest& resolved);

/// The painting that a resolved request asks for.
PaintOptions painting_of(const PaintRequest& request);

/// request.n orders of one caption, with seeds seed, seed + 1, …
std::vector<Order> orders_of(const DrawRequest& request, const std::string& caption);

}  // namespace longhand
