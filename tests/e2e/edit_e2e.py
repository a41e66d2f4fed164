"""longhand edit and strokes: beside diffusers' img2img and inpainting pipelines, and with the embedded model.

Tolerance beside diffusers: one of 255, where a value lies on the edge between two.
"""
import json
import unittest

import diffusers
import numpy
import torch
from PIL import Image, ImageDraw, ImageFilter

import tiny_models
from support import Case
from tiny_models import PROMPT, distance, generators, numbered


def scene(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """A picture with edges, gradients and, as RGBA, transparency; the same each time."""
    y, x = numpy.mgrid[0:height, 0:width]
    channels = [x * 255 // width, y * 255 // height, (x * y * 3) % 256, 255 - x * 200 // width]
    image = Image.fromarray(numpy.stack(channels[: len(mode)], -1).astype("uint8"), mode)
    ImageDraw.Draw(image).ellipse((width // 4, height // 4, width // 2, height // 2), fill=(220, 30, 40, 255)[: len(mode)])
    return image


def left_kept(width: int, height: int) -> Image.Image:
    mask = Image.new("L", (width, height), 0)
    mask.paste(255, (width // 2, 0, width, height))
    return mask


def array(path) -> numpy.ndarray:
    with Image.open(path) as image:
        return numpy.asarray(image).astype(int)


def size(path) -> tuple:
    with Image.open(path) as image:
        return image.size


class BesideDiffusers(Case):
    def setUp(self):
        super().setUp()
        self.model, self.photo, self.mask = (self.folder / name for name in ("model", "photo.png", "mask.png"))

    def same(self, pipeline, *flags, n=1, steps=6, strength=0.5, guidance=4.0, size=(48, 32), seed=5, **arguments):
        """Edits with the pipeline and with the binary, and compares."""
        image = scene(*size)
        image.save(self.photo)
        if not self.model.exists():
            pipeline.save_pretrained(self.model)
        pipeline.set_progress_bar_config(disable=True)
        expected = pipeline(PROMPT, image=image, strength=strength, num_inference_steps=steps, guidance_scale=guidance,
                            num_images_per_prompt=n, generator=generators(seed, n), **arguments).images
        out = self.folder / "out.png"
        self.longhand("edit", self.photo, PROMPT, "--model", self.model, "--dtype", "float32", "--strength", strength, "--steps",
                      steps, "--guidance", guidance, "--seed", seed, "--n", n, "-o", out, *flags)
        self.assertLessEqual(distance(expected, numbered(out, n)), 1)

    def img2img(self):
        return diffusers.StableDiffusionImg2ImgPipeline(**tiny_models.stable_diffusion().components)

    def test_strengths(self):
        pipeline = self.img2img()
        for strength in (0.2, 0.5, 0.77, 1.0):
            with self.subTest(strength):
                self.same(pipeline, n=2, strength=strength)

    def test_schedulers(self):
        pipeline = self.img2img()
        pipeline.save_pretrained(self.model)
        config = diffusers.PNDMScheduler.load_config(self.model / "scheduler")
        for name, scheduler in (
                ("ddim", diffusers.DDIMScheduler), ("ddpm", diffusers.DDPMScheduler), ("euler", diffusers.EulerDiscreteScheduler),
                ("euler_a", diffusers.EulerAncestralDiscreteScheduler), ("dpm++_2m", diffusers.DPMSolverMultistepScheduler),
                ("heun", diffusers.HeunDiscreteScheduler), ("unipc", diffusers.UniPCMultistepScheduler)):
            with self.subTest(name):
                pipeline.scheduler = scheduler.from_config(config)
                self.same(pipeline, "--scheduler", name, n=2)

    def test_eta(self):
        pipeline = self.img2img()
        pipeline.scheduler = diffusers.DDIMScheduler.from_config(pipeline.scheduler.config)
        self.same(pipeline, "--scheduler", "ddim", "--eta", 0.7, n=2, eta=0.7)

    def test_negative_prompt_without_guidance_and_v_prediction(self):
        pipeline = diffusers.StableDiffusionImg2ImgPipeline(
            **tiny_models.stable_diffusion(prediction_type="v_prediction").components)
        self.same(pipeline, "--negative-prompt", "a cat", negative_prompt="a cat")
        self.same(pipeline, guidance=1.0)

    def test_xl(self):
        base = tiny_models.xl()
        pipeline = diffusers.StableDiffusionXLImg2ImgPipeline(
            **base.components, force_zeros_for_empty_prompt=True, add_watermarker=False)
        base.save_pretrained(self.model)
        self.same(pipeline, n=2)

    def test_refiner_as_a_model_of_its_own(self):
        self.same(tiny_models.refiner(tiny_models.xl()), n=2, strength=0.3, steps=10)

    def test_kandinsky(self):
        """A square: the reference confuses width and height."""
        combined = tiny_models.kandinsky()
        combined.save_pretrained(self.model)
        combined.set_progress_bar_config(disable=True)
        image = scene(32, 32)
        image.save(self.photo)
        prior = combined.prior_pipe
        sources = generators(5, 1)
        embeds = prior(PROMPT, num_inference_steps=4, guidance_scale=2.0, generator=sources)
        pipeline = diffusers.KandinskyV22Img2ImgPipeline(unet=combined.unet, scheduler=combined.scheduler, movq=combined.movq)
        pipeline.set_progress_bar_config(disable=True)
        expected = pipeline(**embeds, image=image, strength=0.5, num_inference_steps=6, guidance_scale=3.0, width=32, height=32,
                            generator=sources).images
        out = self.folder / "out.png"
        self.longhand("edit", self.photo, PROMPT, "--model", self.model, "--dtype", "float32", "--steps", 6, "--seed", 5, "--guidance",
                      3, "--prior-steps", 4, "--prior-guidance", 2, "-o", out)
        self.assertLessEqual(distance(expected, [out]), 1)

    def test_mask(self):
        """On the latents' grid, since the reference takes the nearest pixel's mask and this one the mean. Only schedulers that
        draw nothing: the reference draws once more before its steps, for a picture that this model is not shown."""
        mask = left_kept(48, 32)
        mask.save(self.mask)
        stable = tiny_models.stable_diffusion()
        stable.save_pretrained(self.model)
        pipeline = diffusers.StableDiffusionInpaintPipeline(**stable.components)
        config = diffusers.PNDMScheduler.load_config(self.model / "scheduler")
        for name, scheduler in (("euler", diffusers.EulerDiscreteScheduler), ("ddim", diffusers.DDIMScheduler)):
            pipeline.scheduler = scheduler.from_config(config)
            for strength in (0.6, 1.0):
                with self.subTest(name, strength=strength):
                    self.masked(pipeline, mask, strength, name)

    def masked(self, pipeline, mask, strength, scheduler):
        image = scene(48, 32)
        image.save(self.photo)
        pipeline.set_progress_bar_config(disable=True)
        expected = pipeline(PROMPT, image=image, mask_image=mask, strength=strength, num_inference_steps=5, guidance_scale=4.0,
                            generator=generators(3, 1), width=48, height=32).images[0]
        out = self.folder / "out.png"
        self.longhand("edit", self.photo, PROMPT, "--model", self.model, "--dtype", "float32", "--strength", strength, "--steps", 5,
                      "--guidance", 4, "--seed", 3, "--mask", self.mask, "--scheduler", scheduler, "-o", out)
        expected.paste(image, (0, 0), Image.eval(mask, lambda value: 255 - value))  # the reference decodes what is kept, too
        self.assertLessEqual(distance([expected], [out]), 1)

    def test_pixels_without_text(self):
        """SDEdit in pixels, as the authors' loop has it: noised once, denoised step by step."""
        pipeline = tiny_models.ddpm()
        pipeline.save_pretrained(self.model)
        unet, scheduler = pipeline.unet, pipeline.scheduler
        image, generator = scene(32, 32), generators(9, 1)[0]
        image.save(self.photo)
        x = torch.tensor(numpy.asarray(image)).permute(2, 0, 1)[None] / 127.5 - 1
        scheduler.set_timesteps(20)
        for _ in range(2):
            x = scheduler.add_noise(x, torch.randn(x.shape, generator=generator), scheduler.timesteps[10:11])
            for t in scheduler.timesteps[10:]:
                x = scheduler.step(unet(x, t).sample, t, x, generator=generator).prev_sample
        pixels = ((x / 2 + 0.5).clamp(0, 1) * 255).round()[0].permute(1, 2, 0).numpy().astype("uint8")
        out = self.folder / "out.png"
        self.longhand("edit", self.photo, "--model", self.model, "--dtype", "float32", "--steps", 20, "--strength", 0.5,
                      "--repeats", 2, "--seed", 9, "-o", out)
        self.assertLessEqual(distance([Image.fromarray(pixels)], [out]), 1)


class Editing(Case):
    """With the embedded model."""

    def setUp(self):
        super().setUp()
        self.photo, self.mask, self.out = (self.folder / name for name in ("photo.png", "mask.png", "out.png"))

    def edit(self, *flags, steps=4, **options):
        return self.longhand("edit", self.photo, "a red car", "--seed", 1, "--steps", steps, "-o", self.out, *flags, **options)

    def record(self) -> dict:
        return json.loads(self.longhand("show", self.out, "--json").stdout)

    def test_strength_grows_from_the_picture(self):
        scene(128, 96).save(self.photo)
        before, differences = array(self.photo), []
        for strength in (0, 0.25, 0.5, 1):
            self.edit("--strength", strength, steps=20)  # of four, a quarter would be one step, which guidance overshoots
            after = array(self.out)
            self.assertEqual(after.shape, before.shape)
            differences.append(float(((after - before) ** 2).mean()))
        self.assertEqual(differences[0], 0)
        self.assertEqual(differences, sorted(set(differences)))

    def test_the_record_says_that_it_is_an_edit(self):
        scene(64, 64).save(self.photo)
        self.edit("--strength", 0.5, "--repeats", 2)
        record = self.record()
        self.assertEqual((record["edit"]["picture"], record["edit"]["strength"], record["edit"]["repeats"]), ("photo.png", 0.5, 2))
        self.assertEqual(record["caption"], "a red car")
        self.assertIn(b"Denoising strength: 0.5", self.out.read_bytes())
        self.assertIn("photo.png, strength 0.5", self.longhand("show", self.out).stdout)
        self.refused(2, "an edit of photo.png", "draw", "--like", self.out)
        first = self.out.read_bytes()
        self.edit("--strength", 0.5, "--repeats", 2)
        self.assertEqual(self.out.read_bytes(), first)

    def test_repeats_paint_more(self):
        scene(64, 64).save(self.photo)
        self.edit("--strength", 0.5)
        once = array(self.out)
        self.edit("--strength", 0.5, "--repeats", 3)
        self.assertGreater(abs(array(self.out) - once).mean(), 1)

    def test_other_sizes(self):
        scene(77, 66).save(self.photo)
        done = self.edit()
        self.assertIn("edited at 72x64", done.stderr)
        self.assertEqual(size(self.out), (72, 64))
        self.edit("--size", "96x64")
        self.assertEqual(size(self.out), (96, 64))
        self.edit("--strength", 0)
        numpy.testing.assert_array_equal(array(self.out), array(self.photo))
        self.edit("--strength", 0, "--size", "96x64")
        self.assertEqual(size(self.out), (96, 64))

    def test_kept_to_the_byte_with_alpha_and_size(self):
        scene(77, 66, "RGBA").save(self.photo)
        mask = left_kept(77, 66)
        mask.paste(128, (0, 0, 77, 5))
        mask.save(self.mask)
        self.edit("--mask", self.mask, "--strength", 1)
        before, after = array(self.photo), array(self.out)
        self.assertEqual(after.shape, (66, 77, 4))
        numpy.testing.assert_array_equal(after[5:, :38], before[5:, :38])
        self.assertTrue((after[5:, 38:, 3] == 255).all())
        self.assertGreater(abs(after - before)[5:, 38:, :3].mean(), 5)
        blended = after[:5, :38, 3] - (before[:5, :38, 3] * 127 + 255 * 128) / 255
        self.assertLessEqual(abs(blended).max(), 0.5)

    def cutout(self):
        path = self.folder / "cut@out.png"
        image = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
        ImageDraw.Draw(image).ellipse((2, 2, 17, 17), fill=(30, 200, 60, 255))
        image.save(path)
        return path

    def test_paste(self):
        scene(128, 96).save(self.photo)
        before, paste = array(self.photo), f"{self.cutout()}@90,20,0.5"
        self.edit("--paste", paste, "--strength", 0)
        pasted = array(self.out)
        self.assertEqual(pasted[25, 95].tolist(), [30, 200, 60])
        self.edit("--paste", paste, "--strength", 0.5)
        after = array(self.out)
        margin = 2 * (96 // 32)
        outside = numpy.ones((96, 128), bool)
        outside[20 - margin:30 + margin, 90 - margin:100 + margin] = False
        numpy.testing.assert_array_equal(after[outside], before[outside])
        self.assertGreater(abs(after - pasted)[22:28, 92:98].mean(), 0.5)
        self.edit("--paste", paste, "--strength", 0.5, "--whole")
        self.assertGreater(abs(array(self.out) - before)[outside].mean(), 1)

    def test_auto_takes_the_largest_faithful_strength(self):
        scene(64, 64).save(self.photo)
        self.edit("--strength", 0.5, steps=8)
        rms = lambda: float((((array(self.out) - array(self.photo)) / 255) ** 2).mean() ** 0.5)
        limit = rms() + 1e-4
        done = self.edit("--strength", "auto", "--faithfulness", limit, steps=8)
        self.assertIn("within", done.stdout)
        chosen = self.record()["edit"]["strength"]
        self.assertGreaterEqual(chosen, 0.5 - 1e-9)
        self.assertLessEqual(rms(), limit)
        found = array(self.out)
        self.edit("--strength", chosen, steps=8)
        numpy.testing.assert_array_equal(array(self.out), found)
        self.refused(2, "raise --faithfulness", "edit", self.photo, "a dog", "--strength", "auto", "--faithfulness", 0.0001,
                     "--steps", 4, "-o", self.folder / "x.png")

    def test_several_and_without_a_prompt(self):
        scene(64, 64).save(self.photo)
        done = self.longhand("edit", self.photo, "--n", 2, "--seed", 3, "--steps", 4, cwd=self.folder)
        self.assertEqual(done.stdout.split(), ["photo-edited-3-1.png", "photo-edited-3-2.png"])
        self.assertFalse((array(self.folder / "photo-edited-3-1.png") == array(self.folder / "photo-edited-3-2.png")).all())


class Refused(Case):
    def test_what_cannot_be_edited(self):
        photo, out = self.folder / "photo.png", self.folder / "x.png"
        scene(64, 64).save(photo)
        (self.folder / "text.png").write_text("no picture")
        scene(32, 64).save(self.folder / "small.png")
        Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(self.folder / "nothing.png")
        scene(4, 4).save(self.folder / "tiny.png")
        for code, words, *arguments in (
                (4, "text.png is not a whole", self.folder / "text.png", "x"), (3, "none.png", self.folder / "none.png", "x"),
                (2, "is 32x64 and the picture photo.png 64x64", photo, "x", "--mask", self.folder / "small.png"),
                (4, "text.png", photo, "x", "--mask", self.folder / "text.png"),
                (2, "strength is 1.5", photo, "x", "--strength", 1.5), (2, "or auto", photo, "x", "--strength", "much"),
                (2, "none of the steps", photo, "x", "--strength", 0.1, "--steps", 5),
                (2, "nothing of the cut-out", photo, "x", "--paste", f"{self.folder / 'small.png'}@64,0"),
                (2, "nothing of the cut-out", photo, "x", "--paste", f"{self.folder / 'nothing.png'}@0,0"),
                (4, "text.png", photo, "x", "--paste", f"{self.folder / 'text.png'}@0,0"),
                (2, "X,Y or X,Y,SCALE", photo, "x", "--paste", f"{self.folder / 'small.png'}@1"),
                (2, "scale of --paste", photo, "x", "--paste", f"{self.folder / 'small.png'}@0,0,0"),
                (2, "whole number", photo, "x", "--paste", f"{self.folder / 'small.png'}@a,0"),
                (2, "give a --size", self.folder / "tiny.png", "x"), (2, "eta", photo, "x", "--eta", 0.5, "--scheduler", "euler"),
                (2, "--whole is for", photo, "x", "--whole"), (2, "no prompt", photo, "--upsample")):
            with self.subTest(words):
                self.refused(code, words, "edit", *arguments, "-o", out)
                self.assertFalse(out.exists())
        self.refused(2, "write a .png", "edit", photo, "x", "--paste", f"{self.folder / 'small.png'}@0,0", "-o", self.folder / "x.jpg")


class Strokes(Case):
    def test_few_colours_then_a_picture(self):
        photo, out = self.folder / "photo.png", self.folder / "strokes.png"
        scene(256, 192).save(photo)
        self.longhand("strokes", photo, "-o", out)
        strokes = array(out)
        self.assertEqual(strokes.shape, (192, 256, 3))
        self.assertEqual(len(numpy.unique(strokes.reshape(-1, 3), axis=0)), 6)
        self.longhand("strokes", photo, "--colours", 3, "--kernel", 5, "-o", out)
        self.assertEqual(len(numpy.unique(array(out).reshape(-1, 3), axis=0)), 3)
        edited = self.folder / "edited.png"
        self.longhand("edit", out, "a red apple", "--size", "128x96", "--steps", 4, "--seed", 1, "-o", edited)
        self.assertEqual(size(edited), (128, 96))

    def test_the_median(self):
        """PIL's filter; few enough colours that the palette holds them all."""
        photo, out = self.folder / "photo.png", self.folder / "strokes.png"
        levels = Image.fromarray((numpy.asarray(scene(64, 64)) // 64 * 64).astype("uint8"))
        levels.save(photo)
        self.longhand("strokes", photo, "--kernel", 7, "--colours", 256, "-o", out)
        expected = numpy.asarray(levels.filter(ImageFilter.MedianFilter(7))).astype(int)
        numpy.testing.assert_array_equal(array(out)[3:-3, 3:-3], expected[3:-3, 3:-3])  # edges are met otherwise

    def test_refused(self):
        photo = self.folder / "photo.png"
        scene(16, 16).save(photo)
        self.refused(2, "odd", "strokes", photo, "--kernel", 4, "-o", self.folder / "x.png")
        self.refused(2, "colours", "strokes", photo, "--colours", 0, "-o", self.folder / "x.png")
        self.refused(2, ".png", "strokes", photo, "-o", self.folder / "x.jpg")


if __name__ == "__main__":
    unittest.main()
