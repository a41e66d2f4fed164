#include "llm/continuous_batch.h"

#include <algorithm>

#include "core/error.h"
#include "llm/sampler.h"
#include "nn/parallel.h"

namespace longhand {

ContinuousBatch::ContinuousBatch(Decoder& decoder, const ChatVocabulary& vocabulary,
                                 const std::string& model, const std::vector<Message>& shared,
                                 const Sampling& sampling)
    : decoder_(decoder),
      vocabulary_(vocabulary),
      model_(model),
      shared_(shared),
      sampling_(sampling),
      prefix_(vocabulary.common_prefix(shared)),
      slots_(static_cast<std::size_t>(decoder.slots())),
      free_cells_(0) {
  check_length(std::ssize(prefix_));
  decoder_.evaluate_prefix(prefix_);
  free_cells_ = decoder_.cells();
}

void ContinuousBatch::check_length(std::int64_t tokens) const {
  if (tokens + sampling_.max_new_tokens > decoder_.context()) {
    fail(Kind::invalid_argument,
         "{} tokens and {} to answer with do not fit {}'s context of {}; shorten the prompt or the "
         "template",
         tokens, sampling_.max_new_tokens, model_, decoder_.context());
  }
}

void ContinuousBatch::generate(const std::function<std::optional<Sequence>()>& next,
                               const std::function<void(Generated)>& done) {
  for (;;) {
    fill(next);
    rows_.clear();
    for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
      if (slots_[slot]) {
        enqueue(slot);
      }
    }
    if (rows_.empty()) {
      return;
    }
    decoder_.evaluate(rows_);
    sample();
    for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
      if (slots_[slot] && slots_[slot]->ended) {
        finish(slot, done);
        more_ = true;  // a result may be followed up
      }
    }
  }
}

void ContinuousBatch::fill(const std::function<std::optional<Sequence>()>& next) {
  for (std::size_t slot = 0; slot < slots_.size() && (more_ || held_); ++slot) {
    if (slots_[slot]) {
      continue;
    }
    if (!held_) {
      more_ = hold(next);
    }
    if (!held_ || !admit(slot)) {
      return;
    }
  }
}

/// Prepares the next sequence. False once there are no more.
bool ContinuousBatch::hold(const std::function<std::optional<Sequence>()>& next) {
  std::optional<Sequence> sequence = next();
  if (!sequence) {
    return false;
  }
  const Tokens tokens =
      vocabulary_.tokenize(vocabulary_.render(shared_, sequence->turns) + sequence->opening);
  const auto differs = std::ranges::mismatch(prefix_, tokens).in1 - prefix_.begin();
  const int common = static_cast<int>(std::min<std::ptrdiff_t>(differs, std::ssize(tokens) - 1));
  std::string text = sequence->opening;
  held_.emplace(Active{.sequence = std::move(*sequence),
                       .text = std::move(text),
                       .waiting = Tokens(tokens.begin() + common, tokens.end()),
                       .position = common});
  check_length(std::ssize(tokens));
  held_->reserved = static_cast<int>(held_->waiting.size()) + sampling_.max_new_tokens;
  return true;
}

/// Puts the held sequence into a slot. False where it must wait until another makes room.
bool ContinuousBatch::admit(std::size_t slot) {
  if (held_->reserved > free_cells_) {
    if (std::ranges::none_of(slots_, [](const auto& each) { return each.has_value(); })) {
      fail(Kind::invalid_argument, "a prompt of {} tokens does not fit {}'s context; shorten it",
           held_->position + std::ssize(held_->waiting), model_);
    }
    return false;
  }
  free_cells_ -= held_->reserved;
  decoder_.begin(static_cast<int>(slot), held_->position, held_->reserved);
  slots_[slot] = std::move(*held_);
  held_.reset();
  return true;
}

/// Puts what a sequence waits for into the step, as much as there is room for.
void ContinuousBatch::enqueue(std::size_t slot) {
  Active& active = *slots_[slot];
  active.logits_at = -1;
  const auto room = static_cast<std::size_t>(decoder_.tokens_a_step()) - rows_.size();
  const std::size_t count = std::min(active.waiting.size(), room);
  for (std::size_t i = 0; i < count; ++i) {
    const bool last = i + 1 == active.waiting.size();
    active.logits_at = last ? static_cast<int>(rows_.size()) : -1;
    rows_.push_back({active.waiting[i], active.position++, static_cast<int>(slot), last});
  }
  active.waiting.erase(active.waiting.begin(),
                       active.waiting.begin() + static_cast<std::ptrdiff_t>(count));
}

/// The next token of each sequence that has its logits. Guides belong to their sequences, so that
/// sequences do not wait for one another.
void ContinuousBatch::sample() {
  std::vector<std::pair<Active*, std::span<const float>>> ready;
  for (auto& slot : slots_) {
    if (slot && slot->logits_at >= 0) {
      // Some models have rows for tokens that their vocabulary lacks.
      const auto logits = decoder_.logits(slot->logits_at);
      const auto known = static_cast<std::size_t>(vocabulary_.size());
      ready.emplace_back(&*slot, logits.first(std::min(logits.size(), known)));
    }
  }
  parallel_for(std::ssize(ready), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const auto& [active, logits] = ready[static_cast<std::size_t>(i)];
      active->ended = !advance(*active, logits);
    }
  });
}

/// Samples a sequence's next token. False where it ends.
bool ContinuousBatch::advance(Active& active, std::span<const float> logits) const {
  Guide* guide = active.sequence.guide.get();
  if (guide != nullptr && !guide->step(active.text)) {
    return false;
  }
  const int token = sample_token(
      top_candidates(logits, sampling_.top_k), sampling_,
      [&](int id) {
        return guide == nullptr ? 0.0F
                                : guide->bias(vocabulary_.piece(id), vocabulary_.ends_turn(id));
      },
      active.sequence.random);
  if (token < 0 || vocabulary_.ends_turn(token) || ++active.generated >= sampling_.max_new_tokens) {
    return false;
  }
  active.text += vocabulary_.piece(token);
  active.waiting = {token};
  return true;
}

void ContinuousBatch::finish(std::size_t slot, const std::function<void(Generated)>& done) {
  Active active = std::move(*slots_[slot]);
  slots_[slot].reset();
  decoder_.end(static_cast<int>(slot));
  free_cells_ += active.reserved;
  done({active.sequence.id, std::move(active.text)});
}

}  // namespace longhand
