"""--device: every family of models on a device of libtorch's that is not the processor (tests/device), beside the processor.

That device's memory cannot be read through its tensors' pointers, and its operations refuse tensors of two devices, as a GPU's do.
Tolerance: one of 255, since the processor has kernels of its own.
"""
import json
import os
import unittest

import numpy
from PIL import Image

import tiny_models
from support import OTHER_DEVICE, Case
from tiny_models import PROMPT, distance, numbered

OTHER = "privateuseone"


class OnBoth(Case):
    def setUp(self):
        super().setUp()
        self.model, self.photo, self.mask = (self.folder / name for name in ("model", "photo.png", "mask.png"))
        noise = numpy.random.default_rng(1).integers(0, 256, (4, 5, 3), dtype=numpy.uint8)
        Image.fromarray(noise).resize((48, 32), Image.Resampling.BICUBIC).save(self.photo)

    def saved(self, pipeline, name: str = "model"):
        pipeline.save_pretrained(self.folder / name)
        return self.folder / name

    def on_other(self, *arguments, **options):
        return self.longhand(*arguments, env=os.environ | {"LD_PRELOAD": str(OTHER_DEVICE)}, **options)

    def same(self, *arguments, n: int = 1) -> None:
        """The verb paints the same on both."""
        here, there = self.folder / "here.png", self.folder / "there.png"
        flags = ("--model", self.model, "--dtype", "float32", "--steps", 4, "--seed", 7)
        self.longhand(*arguments, *flags, "--device", "cpu", "-o", here)
        self.on_other(*arguments, *flags, "--device", OTHER, "-o", there)
        self.assertLessEqual(distance([Image.open(path) for path in numbered(here, n)], numbered(there, n)), 1)

    def draw(self, *arguments, prompt=(PROMPT,), n: int = 1) -> None:
        self.same("draw", *prompt, "--no-upsample", "--n", n, *arguments, n=n)


class Families(OnBoth):
    def test_stable_diffusion(self):
        self.saved(tiny_models.stable_diffusion())
        self.draw("--negative-prompt", "a cat", "--guidance", 4, n=2)
        self.draw("--scheduler", "euler_a", "--emphasis", "--long-prompt", "chunks", prompt=("a (red:1.5) car " * 30,))
        Image.new("L", (48, 32), 0).save(self.mask)
        with Image.open(self.mask) as mask:
            mask.paste(255, (24, 0, 48, 32))
            mask.save(self.mask)
        self.same("edit", self.photo, PROMPT, "--mask", self.mask, "--scheduler", "ddim")

    def test_xl_with_its_refiner(self):
        base = tiny_models.xl()
        self.saved(base)
        refiner = self.saved(tiny_models.refiner(base), "refiner")
        self.draw("--refiner", refiner, "--refiner-start", 0.5, "--scheduler", "dpm++_2m_sde")

    def test_kandinsky(self):
        self.saved(tiny_models.kandinsky())
        size = ("--size", "40x32", "--prior-steps", 3)
        self.draw(*size, "--negative-prompt", "a cat")
        self.same("edit", self.photo, PROMPT, *size)
        self.same("blend", self.photo, PROMPT, "--count", 3, *size)
        self.same("morph", self.photo, "--from", "a cat", "--to", "a dog", "--guidance", 1, "--count", 2, *size)

    def test_karlo(self):
        karlo = tiny_models.karlo()
        self.saved(karlo)
        self.draw("--prior-steps", 3, n=2)
        self.saved(tiny_models.karlo_variations(karlo))
        self.same("vary", self.photo)

    def test_stable_unclip(self):
        self.saved(tiny_models.stable_unclip())
        self.same("vary", self.photo, PROMPT, "--noise-level", 300, "--size", "48x32")

    def test_pixels(self):
        self.saved(tiny_models.ddpm())
        self.draw(prompt=())
        self.same("edit", self.photo, "--size", "32x32")


class Names(OnBoth):
    def test_the_record_names_the_device(self):
        self.saved(tiny_models.stable_diffusion())
        flags = ("--no-upsample", "--model", self.model, "--steps", 2, "--seed", 1)
        out, again = self.folder / "out.png", self.folder / "again.png"
        self.on_other("draw", PROMPT, *flags, "--device", OTHER, "-o", out)
        self.assertEqual(json.loads(self.longhand("show", "--json", out).stdout)["device"], OTHER)
        self.on_other("draw", "--like", out, "-o", again)
        self.assertEqual(out.read_bytes(), again.read_bytes())
        self.refused(6, OTHER, "draw", "--like", out, "-o", again)  # it is not there
        self.longhand("draw", "--like", out, "--device", "cpu", "-o", again)
        self.assertEqual(json.loads(self.longhand("show", "--json", again).stdout)["device"], "cpu")

    def test_refused(self):
        self.saved(tiny_models.stable_diffusion())
        draw = ("draw", PROMPT, "--no-upsample", "--model", self.model, "-o", self.folder / "x.png", "--device")
        self.refused(2, "expected auto, cpu, cuda", *draw, "gpu")
        self.refused(2, "expected auto, cpu, cuda", *draw, "meta")


if __name__ == "__main__":
    unittest.main()
