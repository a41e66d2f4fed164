"""longhand draw paints as diffusers does: Kandinsky 2.2, Karlo and Stable unCLIP, each with its prior, and DDPM; the same weights, seeds and steps.

Tolerance: one of 255, where a value lies on the edge between two.
"""
import json
import unittest

import diffusers
import torch
from safetensors.torch import load_file, save_file

import tiny_models
from support import Case
from tiny_models import PROMPT, distance, generators, numbered


class Painted(Case):
    def saved(self, pipeline, name: str = "model"):
        pipeline.set_progress_bar_config(disable=True)
        pipeline.save_pretrained(self.folder / name)
        return self.folder / name

    def paint(self, model, *flags, n=1, steps=5, seed=7, prompt=(PROMPT, "--no-upsample")) -> list:
        out = self.folder / "out.png"
        done = self.longhand("draw", *prompt, "--model", model, "--dtype", "float32", "--steps", steps, "--seed", seed, "--n", n, "-o",
                             out, *flags)
        self.progress = done.stderr
        return numbered(out, n)

    def same(self, expected, *arguments, **options) -> None:
        images = expected.images
        self.assertLessEqual(distance(images, self.paint(*arguments, n=len(images), **options)), 1)


class Kandinsky(Painted):
    SIZES = dict(num_inference_steps=5, prior_num_inference_steps=4, width=40, height=32)
    FLAGS = ("--prior-steps", 4, "--size", "40x32")

    def setUp(self):
        super().setUp()
        self.pipeline = tiny_models.kandinsky()
        self.model = self.saved(self.pipeline)

    def split(self, decoder: str, prior: str) -> tuple:
        """The decoder and the prior in folders of their own, as they are published."""
        for component in (self.pipeline.decoder_pipe, self.pipeline.prior_pipe):
            component.set_progress_bar_config(disable=True)
        return self.saved(self.pipeline.decoder_pipe, decoder), self.saved(self.pipeline.prior_pipe, prior)

    def test_combined(self):
        expected = self.pipeline(PROMPT, num_images_per_prompt=2, generator=generators(7, 2), guidance_scale=3.0,
                                 prior_guidance_scale=2.0, **self.SIZES)
        self.same(expected, self.model, "--guidance", 3, "--prior-guidance", 2, *self.FLAGS)
        self.assertIn("painting 9/9 steps", self.progress)  # 4 of the prior

    def lora(self, model: torch.nn.Module, names: tuple) -> dict:
        """As diffusers' attention processors were saved; the products are added to the model's weights."""
        tensors = {}
        for name, module in model.named_modules():
            if name.endswith(names):
                down, up = 0.3 * torch.randn(2, module.in_features), 0.3 * torch.randn(module.out_features, 2)
                attention, projection = name.removesuffix(".0").rsplit(".", 1)
                key = f"{attention}.processor.{projection}_lora"
                tensors |= {f"{key}.down.weight": down, f"{key}.up.weight": up}
                module.weight += up @ down
        return tensors

    def test_lora(self):
        path = self.folder / "lora.safetensors"
        save_file(self.lora(self.pipeline.unet, ("to_q", "add_k_proj", "add_v_proj", "to_out.0")), path)
        expected = self.pipeline(PROMPT, generator=generators(7, 1), **self.SIZES)
        self.same(expected, self.model, "--lora", path, *self.FLAGS)
        save_file(self.lora(self.pipeline.prior_prior, ("to_q",)), path)
        self.refused(4, "the prior", "draw", PROMPT, "--no-upsample", "--model", self.model, "--lora", path, "-o",
                     self.folder / "x.png", *self.FLAGS)

    def test_prior_of_its_own(self):
        decoder, prior = self.split("decoder-2-2", "elsewhere")
        expected = self.pipeline(PROMPT, generator=generators(7, 1), **self.SIZES)
        self.same(expected, decoder, "--prior", prior, *self.FLAGS)
        prior.rename(self.folder / "prior-2-2")
        self.same(expected, decoder, *self.FLAGS)  # beside it, under its name

    def test_without_guidance(self):
        expected = self.pipeline(PROMPT, num_images_per_prompt=2, generator=generators(7, 2), guidance_scale=1.0,
                                 prior_guidance_scale=1.0, **self.SIZES)
        self.same(expected, self.model, "--guidance", 1, "--prior-guidance", 1, *self.FLAGS)

    def test_negative_prompt(self):
        """The reference imagines both prompts with one generator, and so takes no list of them: a picture at a time."""
        painted = self.paint(self.model, "--negative-prompt", "a cat", *self.FLAGS, n=2)
        for seed, path in zip((7, 8), painted):
            expected = self.pipeline(PROMPT, negative_prompt="a cat", generator=torch.Generator().manual_seed(seed), **self.SIZES)
            self.assertLessEqual(distance(expected.images, [path]), 1)

    def test_empty_negative_prompt_is_not_none(self):
        expected = self.pipeline(PROMPT, negative_prompt="", generator=torch.Generator().manual_seed(7), **self.SIZES)
        self.same(expected, self.model, "--negative-prompt", "", *self.FLAGS)

    def test_other_scheduler(self):
        self.pipeline.decoder_pipe.scheduler = diffusers.DDIMScheduler.from_config(self.pipeline.scheduler.config)
        expected = self.pipeline(PROMPT, generator=generators(7, 1), **self.SIZES)
        self.same(expected, self.model, "--scheduler", "ddim", *self.FLAGS)

    def test_refused(self):
        decoder, prior = self.split("model-of-its-own", "elsewhere")
        environment = {"HF_HUB_CACHE": str(self.folder / "empty"), "PATH": "/usr/bin"}
        draw = ("draw", PROMPT, "--no-upsample", "-o", self.folder / "x.png", "--model")
        self.refused(3, "longhand pull kandinsky-community/kandinsky-2-2-prior", *draw, decoder, env=environment)
        self.refused(3, "--prior", *draw, decoder, env=environment)
        self.refused(2, "no prior of Kandinsky", *draw, decoder, "--prior", decoder)
        self.refused(2, "the nearest is 44", *draw, self.model, "--size", "42x32")
        self.refused(2, "--long-prompt", *draw, self.model, "--long-prompt", "chunks")
        self.refused(2, "--prior-steps 1: 1 step with unclip; expected at least 2", *draw, self.model, "--prior-steps", 1)
        config = self.model / "unet" / "config.json"
        config.write_text(json.dumps(json.loads(config.read_text()) | {"encoder_hid_dim": 20}))
        self.refused(4, "encoder_hid", *draw, self.model)


class Karlo(Painted):
    STEPS = dict(decoder_num_inference_steps=5, prior_num_inference_steps=4)

    def setUp(self):
        super().setUp()
        self.pipeline = tiny_models.karlo()
        self.model = self.saved(self.pipeline)

    def test_text(self):
        expected = self.pipeline(PROMPT, num_images_per_prompt=2, generator=generators(7, 2), decoder_guidance_scale=6.0,
                                 prior_guidance_scale=3.0, **self.STEPS)
        self.same(expected, self.model, "--guidance", 6, "--prior-guidance", 3, "--prior-steps", 4)
        self.assertIn("painting 16/16 steps", self.progress)  # 4 of the prior, 7 of super-resolution

    def test_without_guidance(self):
        expected = self.pipeline(PROMPT, generator=generators(7, 1), decoder_guidance_scale=1.0, prior_guidance_scale=1.0, **self.STEPS)
        self.same(expected, self.model, "--guidance", 1, "--prior-guidance", 1, "--prior-steps", 4)

    def test_guidance_of_one_stage_only(self):
        for decoder, prior in ((1, 4), (8, 1)):
            with self.subTest(decoder=decoder, prior=prior):
                expected = self.pipeline(PROMPT, generator=generators(7, 1), decoder_guidance_scale=decoder,
                                         prior_guidance_scale=prior, **self.STEPS)
                self.same(expected, self.model, "--guidance", decoder, "--prior-guidance", prior, "--prior-steps", 4)

    def test_defaults(self):
        out = self.folder / "out.png"
        self.longhand("draw", PROMPT, "--no-upsample", "--model", self.model, "--dtype", "float32", "--seed", 7, "-o", out)
        self.assertLessEqual(distance(self.pipeline(PROMPT, generator=generators(7, 1)).images, [out]), 1)

    def test_variations_with_the_prior_of_the_text_model(self):
        variations = self.saved(tiny_models.karlo_variations(self.pipeline), "variations")
        expected = self.pipeline(PROMPT, generator=generators(7, 1), **self.STEPS)
        self.same(expected, variations, "--prior", self.model, "--prior-steps", 4)

    def test_refused(self):
        variations = self.saved(tiny_models.karlo_variations(self.pipeline), "variations")
        draw = ("draw", PROMPT, "--no-upsample", "-o", self.folder / "x.png", "--model")
        self.refused(2, "has no prior", *draw, variations)
        # Before anything is lengthened: this language model is not there.
        llm = ("--llm", self.folder / "none.gguf")
        self.refused(2, "has no prior", "draw", PROMPT, "--model", variations, "-o", self.folder / "x.png", *llm)
        self.refused(2, "--prior-steps 1", "draw", PROMPT, "--model", self.model, "--prior-steps", 1, "-o", self.folder / "x.png", *llm)
        self.refused(2, "LoRA", *draw, self.model, "--lora", self.model)
        self.refused(2, "this model's size is 32x32", *draw, self.model, "--size", "64x64")
        self.refused(2, "--vae", *draw, self.model, "--vae", self.model)


class StableUnclip(Painted):
    SIZES = dict(num_inference_steps=5, width=48, height=32)
    FLAGS = ("--prior-steps", 4, "--size", "48x32", "--guidance", 5)

    def test_text(self):
        pipeline = tiny_models.stable_unclip_from_text()
        model = self.saved(pipeline)
        expected = pipeline(PROMPT, num_images_per_prompt=2, generator=generators(7, 2), prior_num_inference_steps=4, guidance_scale=5.0,
                            negative_prompt="a cat", **self.SIZES)
        self.same(expected, model, "--negative-prompt", "a cat", *self.FLAGS)
        self.assertIn("painting 9/9 steps", self.progress)

    def test_text_with_the_prior_of_karlo(self):
        """As KandinskyV22PriorPipeline and then StableUnCLIPImg2ImgPipeline: StableUnCLIPPipeline does not tell UnCLIPScheduler its steps."""
        karlo, pipeline = tiny_models.karlo(), tiny_models.stable_unclip()
        model, karlo_model = self.saved(pipeline), self.saved(karlo, "karlo")
        prior = diffusers.KandinskyV22PriorPipeline(
            karlo.prior, pipeline.image_encoder, karlo.text_encoder, karlo.tokenizer, karlo.prior_scheduler, pipeline.feature_extractor)
        prior.set_progress_bar_config(disable=True)
        noise = generators(7, 2)
        embeds = prior(PROMPT, num_images_per_prompt=2, num_inference_steps=4, generator=noise).image_embeds
        expected = pipeline(prompt=[PROMPT] * 2, image_embeds=embeds, generator=noise, guidance_scale=5.0, **self.SIZES)
        self.same(expected, model, "--prior", karlo_model, *self.FLAGS)

    def test_refused(self):
        model = self.saved(tiny_models.stable_unclip())
        draw = ("draw", PROMPT, "--no-upsample", "-o", self.folder / "x.png", "--model", model)
        self.refused(2, "--prior", *draw)
        config = model / "image_normalizer" / "config.json"
        config.write_text(json.dumps(json.loads(config.read_text()) | {"embedding_dim": 20}))
        self.refused(4, "image_normalizer", *draw)


class Ddpm(Painted):
    def setUp(self):
        super().setUp()
        self.pipeline = tiny_models.ddpm()
        self.model = self.saved(self.pipeline)

    def test_unconditional(self):
        expected = self.pipeline(batch_size=2, generator=generators(7, 2), num_inference_steps=20)
        self.same(expected, self.model, prompt=(), steps=20)

    def test_default_steps(self):
        out = self.folder / "out.png"
        self.longhand("draw", "--model", self.model, "--dtype", "float32", "--seed", 7, "-o", out)
        self.assertLessEqual(distance(self.pipeline(generator=generators(7, 1)).images, [out]), 1)

    def test_painted_again(self):
        first, = self.paint(self.model, prompt=())
        again = self.folder / "again.png"
        self.longhand("draw", "--like", first, "-o", again)
        self.assertEqual(first.read_bytes(), again.read_bytes())

    def test_refused(self):
        draw = ("draw", "--steps", 2, "-o", self.folder / "x.png", "--model", self.model)
        self.refused(2, "leave the prompt out", *draw, PROMPT)
        self.refused(2, "leave the prompt out", *draw, "--negative-prompt", "a cat")
        self.refused(2, "--guidance", *draw, "--guidance", 3)
        self.refused(2, "the nearest is 34", *draw, "--size", "33x32")
        self.refused(2, "without text", *draw, "--upsample-only")
        self.refused(2, "without text", *draw, PROMPT, "--upsample-only")
        pairs = self.folder / "pairs"
        self.refused(2, "without text", "compare", "--prompts", "drawbench", "--limit", 1, "--model", self.model, "--out", pairs, "--llm",
                     self.folder / "none.gguf")
        self.assertFalse(pairs.exists())
        weights = self.model / "unet" / "diffusion_pytorch_model.safetensors"
        tensors = load_file(weights)
        tensors.pop("conv_in.weight")
        save_file(tensors, weights)
        self.refused(4, "conv_in.weight", *draw)


if __name__ == "__main__":
    unittest.main()
