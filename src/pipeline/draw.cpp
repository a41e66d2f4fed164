#include "pipeline/draw.h"

#include <random>

namespace longhand {

UpsampleRequest upsampling_of(const PaintRequest& request, const ModelDefaults& defaults,
                              int max_tokens) {
  UpsampleRequest upsampling;
  upsampling.llm = request.llm;
  upsampling.llm_model = request.llm_model;
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
  request.steps = request.steps.value_or(defaults.steps);
  request.guidance = request.guidance.value_or(defaults.guidance);
  request.size = request.size.value_or(painter.own_size());
  if (request.scheduler.empty()) {
    request.scheduler = defaults.scheduler.empty() ? painter.own_scheduler() : defaults.scheduler;
  }
  painter.check(painting_of(request));
}

PaintOptions painting_of(const PaintRequest& request) {
  const Size size = request.size.value_or(Size{});
  return {size.width,        size.height, request.steps.value(), request.guidance.value(),
          request.scheduler, {}};
}

std::vector<Order> orders_of(const DrawRequest& request, const std::string& caption) {
  std::vector<Order> orders;
  for (int i = 0; i < request.n; ++i) {
    orders.push_back({caption, request.seed.value_or(0) + i});
  }
  return orders;
}

}  // namespace longhand
