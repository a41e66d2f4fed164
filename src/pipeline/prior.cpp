#include "pipeline/prior.h"

#include "core/error.h"

namespace longhand {

PriorText prior_text(const TextEncoder& encoder, const std::vector<std::string>& texts,
                     const ReadingOptions& reading) {
  if (reading.chunks || reading.emphasis) {
    fail(Kind::invalid_argument,
         "this model's prior reads {} tokens, all with one weight; leave {} out",
         encoder.config().max_position_embeddings,
         reading.chunks ? "--long-prompt chunks" : "--emphasis");
  }
  const TextEncoding encoding = encoder.encode(texts);
  if (!encoding.text_embeds.defined()) {
    fail(Kind::corrupt,
         "the text encoder has no projection (text_projection.weight); the prior "
         "needs CLIPTextModelWithProjection");
  }
  return {encoding.text_embeds, encoding.last_hidden_state, encoder.mask(texts)};
}

PriorText joined(const PriorText& without, const PriorText& with) {
  const auto cat = [](const at::Tensor& one, const at::Tensor& all) {
    return at::cat({one.expand_as(all), all});
  };
  return {cat(without.text_embeds, with.text_embeds), cat(without.states, with.states),
          cat(without.mask, with.mask)};
}

Prior::Prior(const Checkpoint& checkpoint, const std::string& component,
             const std::string& scheduler, const TextEncoder& encoder,
             const at::TensorOptions& placement)
    : placement_(placement),
      model_(load_component<PriorTransformer, PriorTransformerConfig>(checkpoint, component,
                                                                      placement)),
      schedule_(SchedulerConfig::from_json(checkpoint.config(scheduler))) {
  const PriorTransformerConfig& own = model_.config();
  const CLIPTextConfig& text = encoder.config();
  if (own.embedding_dim != text.hidden_size || own.embedding_dim != text.projection_dim ||
      own.num_embeddings != text.max_position_embeddings) {
    fail(
        Kind::corrupt,
        "{}: the prior reads {} text states of width {} and the text encoder gives {} of width {}, "
        "projected to {}; they are not of one model",
        checkpoint.configs().string(), own.num_embeddings, own.embedding_dim,
        text.max_position_embeddings, text.hidden_size, text.projection_dim);
  }
}

std::unique_ptr<Scheduler> Prior::scheduler(const ConditioningOptions& options) const {
  try {
    return make_scheduler(schedule_.class_name, schedule_, options.prior_steps);
  } catch (const Error& error) {
    throw Error(error.kind(),
                fmt::format("--prior-steps {}: {}", options.prior_steps, error.what()));
  }
}

int Prior::steps(const ConditioningOptions& options) const {
  return static_cast<int>(scheduler(options)->timesteps().size());
}

at::Tensor Prior::imagine(const PriorText& with, const PriorText& without, std::int64_t n,
                          const ConditioningOptions& options, NoiseSource& noise) const {
  const PriorText text = options.prior_guidance > 1 ? joined(without, with) : with;
  const Denoise denoise = guided_denoise(
      [&](const at::Tensor& input, const at::Tensor& timesteps) {
        const at::Tensor rows = input.flatten(0, 1);
        const at::Tensor times = timesteps.repeat_interleave(input.size(1));
        return model_.forward(rows, times, text).view_as(input);
      },
      options.prior_guidance, placement_);
  const auto run = scheduler(options);
  const at::Tensor start =
      noise.draw({n, with.text_embeds.size(0) / n, embedding_dim()}) * run->init_noise_sigma();
  const at::Tensor embeds = run_sampler(*run, denoise, start, noise, counted(options.on_step));
  return model_.post_process_latents(embeds.to(placement_));
}

at::Tensor Prior::imagine(const TextEncoder& encoder, const std::vector<std::string>& captions,
                          const std::string& unwanted, const ConditioningOptions& options,
                          NoiseSource& noise) const {
  return imagine(prior_text(encoder, captions, options.reading),
                 prior_text(encoder, {unwanted}, options.reading),
                 static_cast<std::int64_t>(captions.size()), options, noise)
      .squeeze(1);
}

}  // namespace longhand
