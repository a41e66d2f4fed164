#include "pipeline/compare.h"

#include <chrono>

namespace longhand {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point moment) {
  return std::chrono::duration<double>(Clock::now() - moment).count();
}

void paint_pairs(const Painter& painter, const PaintRequest& request, std::vector<Pair>& pairs) {
  const auto began = Clock::now();
  std::vector<Order> orders;
  for (Pair& pair : pairs) {
    pair.seed = request.seed.value();
    orders.push_back({pair.caption.prompt, pair.seed});
    orders.push_back({pair.caption.caption, pair.seed});
  }
  auto images = painter.paint(orders, painting_of(request));
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    pairs[i].as_typed = std::move(images[2 * i]);
    pairs[i].lengthened = std::move(images[2 * i + 1]);
    pairs[i].paint_seconds = seconds_since(began) / static_cast<double>(pairs.size());
  }
}

}  // namespace

void compare(const Upsampler& upsampler, const Painter& painter, const PaintRequest& resolved,
             int batch, const std::function<std::optional<UpsampleRow>()>& next,
             const std::function<void(const Pair&)>& done) {
  std::vector<Pair> waiting;
  auto asked = Clock::now();
  double lengthening = 0;  // of those that wait
  const auto paint_waiting = [&] {
    paint_pairs(painter, resolved, waiting);
    for (Pair& pair : waiting) {
      pair.upsample_seconds = lengthening / static_cast<double>(waiting.size());
      done(pair);
    }
    waiting.clear();
    lengthening = 0;
  };
  upsampler.upsample(next, [&](const Caption& caption) {
    Pair pair;
    pair.caption = caption;
    lengthening += seconds_since(asked);
    waiting.push_back(std::move(pair));
    if (std::ssize(waiting) == batch) {
      paint_waiting();
    }
    asked = Clock::now();
  });
  if (!waiting.empty()) {
    paint_waiting();
  }
}

}  // namespace longhand
