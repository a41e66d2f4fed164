"""--preview and --vae tiny: the tiny autoencoders of a model's latents, pulled from a hub on this machine; the pictures are diffusers'.

Tolerance: one of 255, where a value lies on the edge between two.
"""
import unittest

import diffusers
import torch
from PIL import Image

import tiny_models
from pull_e2e import HubCase
from hub_server import Repository
from support import ROOT
from tiny_models import PROMPT, distance, generators, numbered

GAP = 4  # pixels of white between and around a sheet's pictures


class Tiny(HubCase):
    def setUp(self):
        super().setUp()
        self.out, self.preview = self.folder / "out.png", self.folder / "now.png"

    def saved(self, pipeline, name: str = "model"):
        pipeline.set_progress_bar_config(disable=True)
        pipeline.save_pretrained(self.folder / name)
        return self.folder / name

    def pulled(self, name: str) -> diffusers.AutoencoderTiny:
        """A tiny autoencoder with random weights, pulled by its short name."""
        torch.manual_seed(9)
        tiny = tiny_models.autoencoder_tiny()
        tiny.save_pretrained(self.folder / name)
        files = {path.name: path.read_bytes() for path in (self.folder / name).iterdir()}
        self.hub.repositories[f"madebyollin/{name}"] = Repository(files)
        self.pull(name)
        return tiny

    def arguments(self, model, *flags) -> tuple:
        return ("draw", PROMPT, "--no-upsample", "--model", model, "--dtype", "float32", "--steps", 5, "--guidance", 4, "--size",
                "32x32", "--seed", 7, "-o", self.out, *flags)

    def draw(self, model, *flags):
        return self.longhand(*self.arguments(model, *flags), env=self.environment)

    def refused_draw(self, code: int, words: str, model, *flags) -> None:
        self.refused(code, words, *self.arguments(model, *flags), env=self.environment)
        self.assertFalse(self.out.exists())

    def painted(self, pipeline, n: int = 1, **options):
        return pipeline(PROMPT, num_inference_steps=5, guidance_scale=4.0, width=32, height=32, num_images_per_prompt=n,
                        generator=generators(7, n), **options).images


class Previews(Tiny):
    def test_the_last_one_is_the_tiny_autoencoders_picture(self):
        pipeline = tiny_models.stable_diffusion()
        model = self.saved(pipeline)
        flags = ("--scheduler", "euler", "--n", 2, "--preview", self.preview)
        self.refused_draw(3, "longhand pull taesd`", model, *flags)
        tiny = self.pulled("taesd")
        self.draw(model, *flags)
        pipeline.scheduler = diffusers.EulerDiscreteScheduler.from_config(diffusers.PNDMScheduler.load_config(model / "scheduler"))
        latents = self.painted(pipeline, 2, output_type="latent")  # Euler's last sample is its last prediction
        expected = pipeline.image_processor.postprocess(tiny.decode(latents).sample)
        sheet = Image.open(self.preview)
        self.assertEqual(sheet.size, (2 * (32 + GAP) + GAP, 32 + 2 * GAP))
        for i, image in enumerate(expected):
            left = GAP + i * (32 + GAP)
            sheet.crop((left, GAP, left + 32, GAP + 32)).save(self.folder / "one.png")
            self.assertLessEqual(distance([image], [self.folder / "one.png"]), 1)
        # What is painted is the model's own autoencoder's.
        self.assertLessEqual(distance(self.painted(pipeline, 2), numbered(self.out, 2)), 1)

    def test_pixels_need_no_autoencoder(self):
        model = self.saved(tiny_models.ddpm())
        self.longhand("draw", "--model", model, "--dtype", "float32", "--steps", 4, "--seed", 7, "-o", self.out, "--preview",
                      self.preview, env=self.environment)
        self.assertEqual(Image.open(self.preview).tobytes(), Image.open(self.out).tobytes())
        karlo = self.saved(tiny_models.karlo(), "karlo")
        self.draw(karlo, "--prior-steps", 3, "--preview", self.preview)
        with Image.open(self.preview) as image:
            self.assertEqual(image.size, (16, 16))  # the decoder's, before super-resolution

    def test_the_embedded_model_needs_no_other(self):
        model = ROOT / "models" / "pocket"
        self.draw(model)
        plain = self.out.read_bytes()
        self.draw(model, "--preview", self.preview)
        self.assertEqual(plain, self.out.read_bytes())  # the record too: previews leave no trace
        self.assertLessEqual(distance([Image.open(self.out)], [self.preview]), 1)
        preview = self.folder / "now.jpg"
        self.longhand("edit", self.out, "a dog", "--steps", 4, "--preview", preview, "-o", self.folder / "edited.png",
                      env=self.environment)
        with Image.open(preview) as image:
            self.assertEqual((image.format, image.size), ("JPEG", (32, 32)))

    def test_a_preview_that_cannot_be_written_does_not_end_the_painting(self):
        done = self.longhand("draw", PROMPT, "--no-upsample", "--steps", 4, "--preview", "/proc/none/now.png", "-o", self.out,
                             env=self.environment)
        self.assertEqual(done.stderr.count("without previews"), 1)
        self.assertTrue(self.out.exists())

    def test_refused(self):
        self.refused_draw(2, "ending", ROOT / "models" / "pocket", "--preview", "now.gif")
        self.refused_draw(2, "no tiny autoencoder", self.saved(tiny_models.kandinsky()), "--preview", self.preview)
        self.assertFalse(self.preview.exists())


class VaeTiny(Tiny):
    def same(self, pipeline, name: str):
        model = self.saved(pipeline)
        self.refused_draw(3, f"longhand pull {name}`", model, "--vae", "tiny")
        pipeline.vae = self.pulled(name)
        self.draw(model, "--vae", "tiny", "--preview", self.preview)
        self.assertLessEqual(distance(self.painted(pipeline), [self.out]), 1)
        self.draw(model, "--vae", f"madebyollin/{name}")
        self.assertLessEqual(distance(self.painted(pipeline), [self.out]), 1)

    def test_stable_diffusion(self):
        self.same(tiny_models.stable_diffusion(), "taesd")

    def test_xl(self):
        self.same(tiny_models.xl(), "taesdxl")

    def test_a_model_that_has_one_keeps_it(self):
        model = ROOT / "models" / "pocket"
        self.draw(model)
        own = Image.open(self.out).tobytes()
        self.draw(model, "--vae", "tiny")
        self.assertEqual(own, Image.open(self.out).tobytes())

    def test_refused(self):
        self.refused_draw(2, "no tiny autoencoder", self.saved(tiny_models.kandinsky()), "--vae", "tiny")
        self.refused_draw(2, "leave --vae out", self.saved(tiny_models.karlo(), "karlo"), "--vae", "tiny")


if __name__ == "__main__":
    unittest.main()
