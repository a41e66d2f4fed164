#include "pipeline/draw.h"

#include <charconv>
#include <cmath>
#include <random>
#include <set>

#include "core/error.h"
#include "core/fields.h"
#include "io/hub_catalogue.h"
#include "nn/device.h"
#include "nn/dtype.h"

namespace longhand {

namespace {

/// "FILE" or "FILE:0.7".
LoraChoice lora_choice(const std::string& text) {
  const auto colon = text.rfind(':');
  if (colon != std::string::npos) {
    double weight = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + colon + 1, end, weight);
    if (error == std::errc() && stop == end && std::isfinite(weight)) {
      return {resolve_model(text.substr(0, colon)), weight};
    }
  }
  return {resolve_model(text), 1};
}

/// A model whose configs come with the project (data/models), or any other; "" for none.
fs::path config_folder(const std::string& name) {
  if (name.empty()) {
    return {};
  }
  const fs::path own = home() / "data" / "models" / name;
  return !fs::exists(name) && fs::is_regular_file(own / "model_index.json") ? own
                                                                            : resolve_model(name);
}

}  // namespace

Painter load_painter(const PaintRequest& request, bool previews) {
  const at::Device device = device_named(request.device);
  ModelOptions options{.dtype = dtype_named(request.dtype, device),
                       .device = device,
                       .loras = {},
                       .prior = {},
                       .vae = {},
                       .tiny_vae = request.vae == "tiny",
                       .previews = previews,
                       .config = config_folder(request.config),
                       .prediction_type = request.prediction_type,
                       .size = request.size};
  for (const std::string& lora : request.lora) {
    options.loras.push_back(lora_choice(lora));
  }
  if (!request.prior.empty()) {
    options.prior = resolve_model(request.prior);
  }
  if (!request.vae.empty() && !options.tiny_vae) {
    options.vae = resolve_model(request.vae);
  }
  Painter painter(resolve_model(request.model), options);
  if (!request.refiner.empty()) {
    painter.add_refiner(resolve_model(request.refiner), {.dtype = options.dtype,
                                                         .device = device,
                                                         .vae = options.vae,
                                                         .tiny_vae = options.tiny_vae});
  }
  return painter;
}

void require_text(const Painter& painter, const PaintRequest& resolved) {
  if (painter.model().max_tokens() == 0) {
    fail(Kind::invalid_argument,
         "{} was trained without text: there is nothing to lengthen for it, and it paints what it "
         "was trained on; take a model that reads a prompt (longhand models lists them)",
         resolved.model);
  }
  painter.steps({{.caption = "a text", .seed = resolved.seed.value()}}, painting_of(resolved));
}

UpsampleRequest upsampling_of(const PaintRequest& request, const ModelDefaults& defaults,
                              int max_tokens) {
  UpsampleRequest upsampling;
  upsampling.llm = request.llm;
  upsampling.llm_model = request.llm_model;
  upsampling.llm_timeout = request.llm_timeout;
  upsampling.candidates = request.candidates;
  upsampling.max_tokens = max_tokens;
  upsampling.seed = request.seed.value_or(0);
  if (!request.prompt_template.empty()) {
    upsampling.prompt_template = request.prompt_template;
  } else if (!defaults.upsampling.empty()) {
    upsampling.prompt_template = defaults.upsampling.string();
  }
  return upsampling;
}

void resolve(PaintRequest& request, const ModelDefaults& defaults, const Painter& painter) {
  if (!request.seed) {
    request.seed = std::random_device{}();
  }
  const DiffusionModel& model = painter.model();
  request.steps = request.steps ? request.steps : defaults.steps.value_or(model.default_steps());
  request.guidance =
      request.guidance ? request.guidance : defaults.guidance.value_or(model.default_guidance());
  request.guidance_rescale =
      request.guidance_rescale.value_or(defaults.guidance_rescale.value_or(0));
  request.size = request.size.value_or(model.own_size());
  request.device = model.device().str();
  if (request.scheduler.empty()) {
    request.scheduler =
        defaults.scheduler.empty() ? model.schedule().class_name : defaults.scheduler;
  }
  if (request.long_prompt != "warn" && request.long_prompt != "chunks") {
    fail(Kind::invalid_argument, "--long-prompt {}: expected warn or chunks", request.long_prompt);
  }
  painter.check(painting_of(request));
}

std::string painting_text(const PaintRequest& resolved) {
  std::string text = fmt::format(
      "{} steps of {}, guidance {}, {}x{}, {}{}", *resolved.steps, resolved.scheduler,
      *resolved.guidance, resolved.size->width, resolved.size->height, resolved.dtype,
      resolved.best_of > 1 ? fmt::format(", the best of {} pictures", resolved.best_of) : "");
  static const std::set<std::string_view> said = {
      "model", "seed", "steps", "guidance", "size", "dtype", "scheduler", "device", "best_of"};
  const nlohmann::json own = request_to_json(resolved), usual = request_to_json(PaintRequest{});
  const auto add = [&](const char* name) {
    const auto value = own.find(name);
    const nlohmann::json unset = 0.0;  // guidance_rescale's
    if (said.contains(name) || value == own.end() || *value == usual.value(name, unset)) {
      return;
    }
    text += fmt::format(", {}", name);
    if (!value->is_boolean()) {
      text += " " + (value->is_string() ? value->get<std::string>() : value->dump());
    }
  };
  std::apply([&](const auto&... each) { (add(each.name), ...); }, PaintRequest::painting_fields);
  return text;
}

PaintOptions painting_of(const PaintRequest& request) {
  const Size size = request.size.value_or(Size{});
  PaintOptions options;
  options.width = size.width;
  options.height = size.height;
  options.guidance = request.guidance.value();
  options.guidance_rescale = request.guidance_rescale.value_or(0);
  options.best_of = request.best_of;
  options.prior_steps = request.prior_steps;
  options.prior_guidance = request.prior_guidance;
  options.imagine = request.imagine;
  options.enlarge = request.enlarge;
  options.steps = request.steps.value();
  options.scheduler = request.scheduler;
  options.negative_prompt = request.negative_prompt;
  options.refiner_start = request.refiner_start;
  options.reading = {request.long_prompt == "chunks", request.emphasis};
  return options;
}

std::vector<Order> orders_of(const DrawRequest& request, const std::string& caption) {
  std::vector<Order> orders;
  for (int i = 0; i < request.n; ++i) {
    orders.push_back({caption, request.seed.value_or(0) + i});
  }
  return orders;
}

}  // namespace longhand
