"""longhand draw paints as diffusers does: Stable Diffusion, XL and its refiner, LoRA; the same weights, seeds and steps.

Tolerance: one of 255, where a value lies on the edge between two.
"""
import unittest

import diffusers
import safetensors.torch
import torch

import tiny_models
from support import Case
from tiny_models import PROMPT, distance, generators, numbered


class Painted(Case):
    def same(self, pipeline, *, n=1, steps=5, guidance=4.0, size=(32, 32), seed=7, flags=(), model=None, **arguments):
        """Paints with the pipeline and with the binary, and compares."""
        if model is None:
            model = self.folder / "model"
            pipeline.save_pretrained(model)
        pipeline.set_progress_bar_config(disable=True)
        expected = pipeline(PROMPT, num_inference_steps=steps, guidance_scale=guidance, width=size[0], height=size[1],
                            num_images_per_prompt=n, generator=generators(seed, n), **arguments).images
        out = self.folder / "out.png"
        self.longhand("draw", PROMPT, "--no-upsample", "--model", model, "--dtype", "float32", "--steps", steps, "--guidance",
                      max(1, guidance), "--size", f"{size[0]}x{size[1]}", "--seed", seed, "--n", n, "-o", out, *flags)
        self.assertLessEqual(distance(expected, numbered(out, n)), 1)

    def test_stable_diffusion_1(self):
        self.same(tiny_models.stable_diffusion(), n=2, steps=6, size=(48, 32))

    def test_stable_diffusion_2(self):
        self.same(tiny_models.stable_diffusion(prediction_type="v_prediction"), negative_prompt="a cat",
                  flags=["--negative-prompt", "a cat"])

    def test_prediction_type_of_ones_choice(self):
        """The files say epsilon."""
        pipeline = tiny_models.stable_diffusion()
        pipeline.save_pretrained(self.folder / "model")
        pipeline.scheduler = diffusers.PNDMScheduler.from_config(pipeline.scheduler.config, prediction_type="v_prediction")
        self.same(pipeline, model=self.folder / "model", flags=["--prediction-type", "v_prediction"])
        draw = ("draw", PROMPT, "--no-upsample", "--model", self.folder / "model", "-o", self.folder / "x.png")
        self.refused(2, "--prediction-type noise", *draw, "--prediction-type", "noise")
        self.refused(2, "--config is for single", *draw, "--config", "sdxl-turbo")
        self.refused(2, "no CLIP of pictures and texts", *draw, "--best-of", 2)

    def test_without_guidance(self):
        self.same(tiny_models.stable_diffusion(), guidance=1.0)

    def test_schedulers(self):
        pipeline = tiny_models.stable_diffusion()
        pipeline.save_pretrained(self.folder / "model")
        config = diffusers.PNDMScheduler.load_config(self.folder / "model" / "scheduler")
        for name, scheduler in (
                ("euler_a", diffusers.EulerAncestralDiscreteScheduler), ("dpm++_2m", diffusers.DPMSolverMultistepScheduler),
                ("heun", diffusers.HeunDiscreteScheduler), ("unipc", diffusers.UniPCMultistepScheduler)):
            with self.subTest(name):
                pipeline.scheduler = scheduler.from_config(config)
                self.same(pipeline, n=2, model=self.folder / "model", flags=["--scheduler", name])

    def test_xl(self):
        self.same(tiny_models.xl(), n=2, size=(32, 48))

    def test_rescaled_guidance(self):
        self.same(tiny_models.xl(), n=2, guidance=6.0, guidance_rescale=0.7, flags=["--guidance-rescale", 0.7])
        self.same(tiny_models.stable_diffusion(prediction_type="v_prediction"), guidance_rescale=1.0, flags=["--guidance-rescale", 1],
                  model=None)

    def test_xl_negative_prompt(self):
        self.same(tiny_models.xl(), negative_prompt="a cat", flags=["--negative-prompt", "a cat"])

    def test_xl_empty_negative_prompt_is_not_none(self):
        self.same(tiny_models.xl(), negative_prompt="", flags=["--negative-prompt", ""])

    def test_turbo(self):
        pipeline = tiny_models.xl()
        pipeline.scheduler = diffusers.EulerAncestralDiscreteScheduler(
            **tiny_models.LATENT_BETAS, timestep_spacing="trailing", steps_offset=1)
        self.same(pipeline, steps=4, guidance=0.0, n=2)

    def test_lcm(self):
        pipeline = tiny_models.stable_diffusion()
        torch.manual_seed(3)
        lcm = diffusers.LatentConsistencyModelPipeline(
            vae=pipeline.vae, text_encoder=pipeline.text_encoder, tokenizer=pipeline.tokenizer,
            unet=tiny_models.unet(time_cond_proj_dim=12), scheduler=diffusers.LCMScheduler(**tiny_models.LATENT_BETAS),
            safety_checker=None, feature_extractor=None, requires_safety_checker=False)
        self.same(lcm, steps=4, guidance=8.5)

    def test_refiner(self):
        base = tiny_models.xl()
        refiner = tiny_models.refiner(base)
        base.save_pretrained(self.folder / "base")
        refiner.save_pretrained(self.folder / "refiner")
        for pipeline in (base, refiner):
            pipeline.set_progress_bar_config(disable=True)
        latents = base(PROMPT, num_inference_steps=10, denoising_end=0.6, output_type="latent", width=32, height=32,
                       generator=generators(7, 2), num_images_per_prompt=2).images
        expected = refiner([PROMPT] * 2, image=latents, num_inference_steps=10, denoising_start=0.6).images
        out = self.folder / "out.png"
        done = self.longhand("draw", PROMPT, "--no-upsample", "--model", self.folder / "base", "--refiner", self.folder / "refiner",
                             "--refiner-start", 0.6, "--dtype", "float32", "--steps", 10, "--size", "32x32", "--seed", 7, "--n", 2,
                             "-o", out)
        self.assertIn("painting 10/10 steps", done.stderr)
        self.assertLessEqual(distance(expected, numbered(out, 2)), 1)


    def embeds(self, pipeline, chunks: list, weights: dict) -> torch.Tensor:
        """States of chunks of text, one after the other; words weigh as given, and the mean is kept."""
        ids = pipeline.tokenizer(chunks, padding="max_length", return_tensors="pt").input_ids
        states = pipeline.text_encoder(ids).last_hidden_state.flatten(0, 1)[None]
        heavy = torch.ones(ids.numel())
        for word, weight in weights.items():
            heavy[ids.flatten() == pipeline.tokenizer(word).input_ids[1]] = weight
        scaled = states * heavy[None, :, None]
        return scaled * states.mean() / scaled.mean()

    def read_otherwise(self, prompt: str, chunks: list, weights: dict, *flags):
        pipeline = tiny_models.stable_diffusion()
        model, out = self.folder / "model", self.folder / "out.png"
        pipeline.save_pretrained(model)
        pipeline.set_progress_bar_config(disable=True)
        expected = pipeline(prompt_embeds=self.embeds(pipeline, chunks, weights),
                            negative_prompt_embeds=self.embeds(pipeline, [""] * len(chunks), {}), num_inference_steps=4,
                            guidance_scale=4.0, width=32, height=32, generator=generators(3, 1)).images
        self.longhand("draw", prompt, "--no-upsample", "--model", model, "--dtype", "float32", "--steps", 4, "--guidance", 4,
                      "--size", "32x32", "--seed", 3, "-o", out, *flags)
        self.assertLessEqual(distance(expected, [out]), 1)

    def test_long_prompt_in_chunks(self):
        words = [f"{colour} {thing}" for colour in ("red", "blue", "green") for thing in ("car", "dog", "cat", "sun", "tree")] * 3
        text = " ".join(words)  # 90 tokens
        first = " ".join(text.split()[:75])
        self.read_otherwise(text, [first, text[len(first) + 1:]], {}, "--long-prompt", "chunks")

    def test_emphasis(self):
        self.read_otherwise("a (red:1.5) car and [dogs]", ["a red car and dogs"], {"red": 1.5, "dogs": 1 / 1.1}, "--emphasis")

    def test_lora(self):
        """kohya's layout, two at once; the reference has the products in its weights."""
        pipeline = tiny_models.stable_diffusion()
        model = self.folder / "model"
        pipeline.save_pretrained(model)
        flags = []
        for number, weight in ((1, 0.7), (2, -0.4)):
            tensors = {}
            for name, module in pipeline.unet.named_modules():
                if name.endswith(("to_q", "to_v", "conv1")):
                    key = "lora_unet_" + name.replace(".", "_")
                    down = torch.randn(3, *module.weight.shape[1:]) * 0.2
                    up = torch.randn(module.weight.shape[0], 3, *[1] * (module.weight.dim() - 2)) * 0.2
                    tensors |= {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up, f"{key}.alpha": torch.tensor(1.5)}
                    module.weight += weight * 0.5 * (up.flatten(1) @ down.flatten(1)).view_as(module.weight)
            path = self.folder / f"lora{number}.safetensors"
            safetensors.torch.save_file(tensors, path)
            flags += ["--lora", f"{path}:{weight}"]
        self.same(pipeline, model=model, flags=flags)


class Refused(Case):
    def test_what_cannot_be_painted_with(self):
        self.refused(3, "longhand pull stabilityai/some-model", "draw", "x", "--no-upsample", "--model", "stabilityai/some-model", "-o", self.folder / "x.png")


if __name__ == "__main__":
    unittest.main()
