#include "pipeline/sampling.h"

namespace longhand {

at::Tensor sample_latents(const UNet2DConditionModel& unet, const SchedulerConfig& schedule,
                          const SamplingOptions& options, const at::Tensor& noise,
                          NoiseSource& noise_of_steps, const at::Tensor& conditional,
                          const at::Tensor& unconditional) {
  const bool guided = options.guidance > 1;
  const std::int64_t count = noise.size(0);
  const at::Tensor context = guided ? at::cat({unconditional, conditional}) : conditional;
  const auto scheduler = make_scheduler(options.scheduler, schedule, options.steps);
  at::Tensor sample = noise * scheduler->init_noise_sigma();
  for (std::size_t i = 0; i < scheduler->timesteps().size(); ++i) {
    const at::Tensor scaled = scheduler->scale_model_input(sample, i).to(context.scalar_type());
    const at::Tensor input = guided ? at::cat({scaled, scaled}) : scaled;
    const at::Tensor timestep = at::full({input.size(0)}, scheduler->timesteps()[i], at::kFloat);
    at::Tensor output = unet.forward(input, timestep, {.context = context});
    if (guided) {
      const at::Tensor without = output.narrow(0, 0, count).to(at::kFloat);
      output =
          without + options.guidance * (output.narrow(0, count, count).to(at::kFloat) - without);
    }
    sample = scheduler->step(output, i, sample, noise_of_steps);
    if (options.on_step) {
      options.on_step(static_cast<int>(i) + 1);
    }
  }
  return sample;
}

}  // namespace longhand
