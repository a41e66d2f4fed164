"""The embedded model by the reference's classes: what its users paint without choosing anything.

Tolerance: one of 255 where the picture comes out of one autoencoder, as elsewhere. Super-resolution is given 8 bits here and
floats there, and clips its answer at each step: 40 dB, an error of 2.5 of 255.
"""
import shutil
import unittest

import diffusers
import torch
from PIL import Image
from transformers import CLIPTextModelWithProjection, CLIPTokenizer, CLIPVisionModelWithProjection

from support import ROOT, Case
from tiny_models import distance, generators, numbered
from vary_e2e import pixels, psnr

POCKET = ROOT / "models" / "pocket"
PROMPT = "a red car on the beach"
STEPS, GUIDANCE = 5, 4.0


class Embedded(Case):
    @classmethod
    def setUpClass(cls):
        cls.pipeline = diffusers.StableDiffusionXLPipeline.from_pretrained(POCKET, torch_dtype=torch.float32, add_watermarker=False)
        cls.pipeline.set_progress_bar_config(disable=True)

    def setUp(self):
        super().setUp()
        self.out = self.folder / "out.png"

    def paint(self, command: str, *arguments) -> None:
        self.longhand(command, *arguments, "--dtype", "float32", "--seed", 7, "--steps", STEPS, "--guidance", GUIDANCE, "-o", self.out)

    def painted(self, generator, **condition) -> list:
        return self.pipeline(num_inference_steps=STEPS, guidance_scale=GUIDANCE, width=128, height=128, generator=generator, **condition).images

    def pictured(self, embeds: torch.Tensor, generator, caption: str = "") -> list:
        """Painted from pictures' embeddings, with a caption's states or without."""
        context, _, pooled, _ = self.pipeline.encode_prompt(caption, do_classifier_free_guidance=False)
        context = (context if caption else torch.zeros_like(context)).repeat(len(embeds), 1, 1)
        context[:, 0] = embeds
        return self.painted(generator, prompt_embeds=context, negative_prompt_embeds=torch.zeros_like(context), pooled_prompt_embeds=embeds,
                            negative_pooled_prompt_embeds=torch.zeros_like(embeds))

    def test_draw(self):
        self.paint("draw", PROMPT, "--no-upsample", "--n", 2)
        self.assertLessEqual(distance(self.painted(generators(7, 2), prompt=[PROMPT] * 2), numbered(self.out, 2)), 1)

    def embeds(self, picture: Image.Image) -> torch.Tensor:
        """The image encoder looks at latents."""
        encoder = CLIPVisionModelWithProjection.from_pretrained(POCKET / "image_encoder", dtype=torch.float32)
        latents = self.pipeline.vae.encode(pixels(picture)).latent_dist.mode() * self.pipeline.vae.config.scaling_factor
        return encoder(latents).image_embeds

    def test_best_of(self):
        attempts = [self.painted(generators(7 + 0x9E3779B9 * i, 2), prompt=[PROMPT] * 2) for i in range(3)]
        _, _, text, _ = self.pipeline.encode_prompt(PROMPT, do_classifier_free_guidance=False)
        best = [max(pictures, key=lambda picture: torch.cosine_similarity(self.embeds(picture), text).item()) for pictures in zip(*attempts)]
        self.assertNotEqual(best, attempts[0])
        self.paint("draw", PROMPT, "--no-upsample", "--n", 2, "--best-of", 3)
        self.assertLessEqual(distance(best, numbered(self.out, 2)), 1)
        self.assertIn("of 3 attempts", self.longhand("show", numbered(self.out, 2)[0]).stdout)
        again = self.folder / "again.png"
        second = numbered(self.out, 2)[1]
        self.longhand("draw", "--like", second, "-o", again)
        self.assertEqual(second.read_bytes(), again.read_bytes())

    def test_the_best_is_enlarged(self):
        first = [self.painted(generators(7, 1), prompt=[PROMPT])[0], self.painted(generators(7 + 0x9E3779B9, 1), prompt=[PROMPT])[0]]
        _, _, text, _ = self.pipeline.encode_prompt(PROMPT, do_classifier_free_guidance=False)
        near = [torch.cosine_similarity(self.embeds(picture), text).item() for picture in first]
        self.paint("draw", PROMPT, "--no-upsample", "--enlarge", "--best-of", 2)
        best = Image.open(self.out).tobytes()
        self.longhand("draw", PROMPT, "--no-upsample", "--enlarge", "--dtype", "float32", "--seed", 7 + 0x9E3779B9 * near.index(max(near)), "--steps", STEPS,
                      "--guidance", GUIDANCE, "-o", self.out)
        self.assertEqual(best, Image.open(self.out).tobytes())

    def test_vary(self):
        self.paint("draw", PROMPT, "--no-upsample")
        picture = self.folder / "car.png"
        self.out.rename(picture)
        embeds = self.embeds(Image.open(picture))
        self.paint("vary", picture, "--n", 2)
        self.assertLessEqual(distance(self.pictured(embeds.expand(2, -1), generators(7, 2)), numbered(self.out, 2)), 1)

    def test_imagine(self):
        """The prior of diffusers' Kandinsky 2.2 is the same class, and draws two; with a negative prompt it needs no image encoder."""
        prior = diffusers.KandinskyV22PriorPipeline(
            prior=diffusers.PriorTransformer.from_pretrained(POCKET / "prior", torch_dtype=torch.float32), image_encoder=None, image_processor=None,
            text_encoder=CLIPTextModelWithProjection.from_pretrained(POCKET / "text_encoder_2", dtype=torch.float32),
            tokenizer=CLIPTokenizer.from_pretrained(POCKET / "tokenizer_2"),
            scheduler=diffusers.UnCLIPScheduler.from_pretrained(POCKET / "prior_scheduler"))
        prior.set_progress_bar_config(disable=True)
        own, other = generators(7, 2)
        two = [prior(PROMPT, negative_prompt="", num_inference_steps=9, guidance_scale=2.0, generator=[own, other]).image_embeds[:1]
               for _ in range(2)]
        text = prior.text_encoder(**prior.tokenizer(PROMPT, padding="max_length", max_length=77, return_tensors="pt")).text_embeds
        embeds = max(two, key=lambda drawn: torch.cosine_similarity(drawn, text).item())
        self.paint("draw", PROMPT, "--no-upsample", "--imagine", "--prior-steps", 9, "--prior-guidance", 2)
        self.assertLessEqual(distance(self.pictured(embeds, [own], PROMPT), [self.out]), 1)

    def test_enlarge(self):
        self.paint("draw", PROMPT, "--no-upsample")
        small = torch.nn.functional.interpolate(pixels(Image.open(self.out)), (256, 256), mode="bicubic", antialias=True)
        unet = diffusers.UNet2DModel.from_pretrained(POCKET / "super_res", torch_dtype=torch.float32)
        scheduler = diffusers.UnCLIPScheduler.from_pretrained(POCKET / "super_res_scheduler")
        scheduler.set_timesteps(7)
        generator = generators(7, 1)[0]
        torch.randn(1, 8, 16, 16, generator=generator)  # the painting's noise
        sample = torch.randn(small.shape, generator=generator)
        times = scheduler.timesteps
        for i, t in enumerate(times):
            answer = unet(torch.cat([sample, small], 1), t).sample
            before = None if i + 1 == len(times) else times[i + 1]
            sample = scheduler.step(answer, t, sample, prev_timestep=before, generator=generator).prev_sample
        self.paint("draw", PROMPT, "--no-upsample", "--enlarge")
        self.assertGreater(psnr(pixels(Image.open(self.out)), sample), 40)
        again = self.folder / "again.png"
        self.longhand("draw", "--like", self.out, "-o", again)
        self.assertEqual(self.out.read_bytes(), again.read_bytes())

    def test_either_prior(self):
        self.paint("draw", PROMPT, "--no-upsample", "--imagine")
        diffusion = self.out.read_bytes()
        self.paint("draw", PROMPT, "--no-upsample", "--imagine", "--prior", "pocket")
        autoregressive = self.out.read_bytes()
        self.assertNotEqual(autoregressive, diffusion)
        self.paint("draw", PROMPT, "--no-upsample", "--imagine", "--prior", "pocket")
        self.assertEqual(self.out.read_bytes(), autoregressive)
        alone = self.folder / "alone"
        shutil.copytree(POCKET / "autoregressive_prior", alone / "autoregressive_prior")
        painted = Image.open(self.out).tobytes()
        self.paint("draw", PROMPT, "--no-upsample", "--imagine", "--prior", alone)
        self.assertEqual(Image.open(self.out).tobytes(), painted)

    def test_refused(self):
        self.paint("draw", PROMPT, "--no-upsample")
        self.refused(2, "has no autoregressive_prior", "draw", PROMPT, "--imagine", "--prior", self.folder, "-o", self.out)
        self.refused(2, "at its own size", "edit", self.out, "a dog", "--enlarge", "-o", self.folder / "edited.png")
        self.refused(2, "gives one picture", "vary", self.out, "--eta", 0, "--best-of", 2, "-o", self.folder / "varied.png")


if __name__ == "__main__":
    unittest.main()
