"""longhand vary, blend and morph: pictures from CLIP embeddings as diffusers paints them, with the same weights, seeds and steps.

Tolerance: one of 255, where a value lies on the edge between two.
"""
import json
import unittest

import diffusers
import numpy
import torch
from PIL import Image

import tiny_models
from support import ROOT, Case
from tiny_models import PROMPT, distance, generators, numbered

GAP = 4  # pixels of white between and around a strip's pictures


def photo(seed: int, width: int = 70, height: int = 50) -> Image.Image:
    """Soft coloured blobs."""
    noise = numpy.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=numpy.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def slerp(a: torch.Tensor, b: torch.Tensor, part: float) -> torch.Tensor:
    """Of vectors of length 1, by the formula of sines."""
    angle = torch.arccos(a @ b)
    return (torch.sin((1 - part) * angle) * a + torch.sin(part * angle) * b) / torch.sin(angle)


def between(a: torch.Tensor, b: torch.Tensor, part: float) -> torch.Tensor:
    return slerp(a / a.norm(), b / b.norm(), part) * ((1 - part) * a.norm() + part * b.norm())


def pixels(image) -> torch.Tensor:
    """[1, 3, height, width] in -1…1."""
    return torch.tensor(numpy.asarray(image.convert("RGB")).copy()).permute(2, 0, 1)[None] / 127.5 - 1


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(10 * torch.log10(4 / (a.clamp(-1, 1) - b.clamp(-1, 1)).square().mean()))


def tame(unet: torch.nn.Module) -> None:
    """Random networks fold space, which trained ones do not: little answers leave a run that can be followed backwards."""
    unet.conv_out.weight.data *= 0.05


class Embeddings(Case):
    def setUp(self):
        super().setUp()
        self.photos = [photo(1), photo(2)]
        self.files = [self.folder / "one.png", self.folder / "two.png"]
        for image, path in zip(self.photos, self.files):
            image.save(path)
        self.out = self.folder / "out.png"
        self.frames = self.folder / "frames"

    def saved(self, pipeline, name: str = "model"):
        pipeline.set_progress_bar_config(disable=True)
        pipeline.save_pretrained(self.folder / name)
        return self.folder / name

    def run_on(self, model, command: str, *arguments, seed: int = 7, steps: int = 5) -> None:
        self.longhand(command, *arguments, "--model", model, "--dtype", "float32", "--seed", seed, "--steps", steps, "-o", self.out)

    def frame(self, number: int):
        return self.frames / f"{number:03}.png"

    def same(self, images: list, paths: list) -> None:
        self.assertLessEqual(distance(images, paths), 1)

    def differ(self, one, two) -> None:
        self.assertGreater(distance([one], [two]), 8)


class StableUnclip(Embeddings):
    SIZES = dict(num_inference_steps=5, width=48, height=32)

    def setUp(self):
        super().setUp()
        self.pipeline = tiny_models.stable_unclip()
        # So large that a picture's embedding makes a difference.
        self.pipeline.unet.class_embedding.linear_1.weight.data *= 5
        self.model = self.saved(self.pipeline)

    def test_vary(self):
        expected = self.pipeline([self.photos[0]] * 2, generator=generators(7, 2), **self.SIZES).images
        self.run_on(self.model, "vary", self.files[0], "--n", 2, "--size", "48x32")
        self.same(expected, numbered(self.out, 2))
        self.run_on(self.model, "vary", self.files[1], "--size", "48x32")
        self.differ(expected[0], self.out)

    def test_vary_with_prompts_and_noise(self):
        options = dict(negative_prompt="a cat", noise_level=300, guidance_scale=4.0, **self.SIZES)
        expected = self.pipeline(self.photos[0], PROMPT, generator=generators(7, 1), **options).images
        flags = ("--negative-prompt", "a cat", "--guidance", 4, "--size", "48x32")
        self.run_on(self.model, "vary", self.files[0], PROMPT, "--noise-level", 300, *flags)
        self.same(expected, [self.out])
        self.run_on(self.model, "vary", self.files[0], PROMPT, *flags)
        self.differ(expected[0], self.out)

    def test_defaults(self):
        expected = self.pipeline(self.photos[0], generator=generators(7, 1)).images
        self.longhand("vary", self.files[0], "--model", self.model, "--dtype", "float32", "--seed", 7, "-o", self.out)
        self.same(expected, [self.out])

    def test_vary_from_the_pictures_own_noise(self):
        """With eta 0 it comes back as the autoencoder can tell it; with more it goes away from there."""
        tame(self.pipeline.unet)
        self.saved(self.pipeline)
        self.photos[0].resize((48, 32)).save(self.files[0])
        image = pixels(Image.open(self.files[0]))
        vae, noise = self.pipeline.vae, torch.Generator().manual_seed(7)
        torch.randn(tiny_models.EMBEDDING, generator=noise)  # the embedding's
        coded = vae.decode(vae.encode(image).latent_dist.sample(noise)).sample
        self.run_on(self.model, "vary", self.files[0], "--eta", 0, "--size", "48x32", "--guidance", 2, steps=20)
        self.assertGreater(psnr(pixels(Image.open(self.out)), coded), 45)
        self.run_on(self.model, "vary", self.files[0], "--eta", 1, "--size", "48x32", "--guidance", 2, steps=20)
        self.assertLess(psnr(pixels(Image.open(self.out)), coded), 30)

    def embeds(self) -> list:
        return [self.pipeline.image_encoder(**self.pipeline.feature_extractor(image, return_tensors="pt")).image_embeds[0]
                for image in self.photos]

    def test_blend(self):
        one, two = self.embeds()
        self.run_on(self.model, "blend", *self.files, "--count", 4, "--size", "48x32", "--frames", self.frames)
        for i in range(4):
            expected = self.pipeline(image_embeds=between(one, two, i / 3)[None], prompt="", generator=generators(7, 1), **self.SIZES)
            self.same(expected.images, [self.frame(i + 1)])
        self.differ(Image.open(self.frame(1)), self.frame(4))
        strip = Image.open(self.out)
        self.assertEqual(strip.size, (4 * (48 + GAP) + GAP, 32 + 2 * GAP))
        third = strip.crop((3 * GAP + 2 * 48, GAP, 3 * GAP + 3 * 48, GAP + 32))
        self.assertEqual(third.tobytes(), Image.open(self.frame(3)).tobytes())

    def test_blend_of_a_chain(self):
        self.run_on(self.model, "blend", *self.files, self.files[0], "--steps-between", 1, "--size", "48x32", "--frames", self.frames)
        self.assertEqual(len(list(self.frames.iterdir())), 5)
        self.same([Image.open(self.frame(1)), Image.open(self.frame(2))], [self.frame(5), self.frame(4)])

    def test_records(self):
        self.run_on(self.model, "blend", *self.files, "--count", 3, "--size", "48x32", "--frames", self.frames)
        record = json.loads(self.longhand("show", self.frame(2), "--json").stdout)
        self.assertEqual(record["embedding"], {"command": "blend", "inputs": ["one.png", "two.png"], "count": 3, "part": 0.5,
                                               "noise_level": 0})
        self.assertEqual((record["seed"], record["steps"], record["model"]), (7, 5, str(self.model)))
        self.assertIn("longhand blend of one.png, two.png", self.longhand("show", self.out).stdout)
        self.refused(2, "longhand blend", "draw", "--like", self.out, "-o", self.folder / "x.png")
        self.run_on(self.model, "vary", self.files[0], PROMPT, "--n", 2, "--size", "48x32")
        shown = self.longhand("show", numbered(self.out, 2)[1]).stdout
        self.assertIn("7 + 1 (picture 2 of 2)", shown)
        self.assertIn(PROMPT, shown)

    def test_refused(self):
        model = ("--model", self.model, "-o", self.out)
        self.refused(2, "Kandinsky 2.2 or Karlo", "morph", self.files[0], "--from", "a cat", "--to", "a dog", *model)
        self.refused(2, "--prior", "blend", self.files[0], "a dog", *model)
        self.refused(2, "noise_level", "vary", self.files[0], "--noise-level", 1000, *model)
        self.assertFalse(self.out.exists())


class Kandinsky(Embeddings):
    SIZES = dict(num_inference_steps=5, width=40, height=32)
    FLAGS = ("--size", "40x32")

    def setUp(self):
        super().setUp()
        self.pipeline = tiny_models.kandinsky()
        self.model = self.saved(self.pipeline)
        self.prior, self.decoder = self.pipeline.prior_pipe, self.pipeline.decoder_pipe
        for part in (self.prior, self.decoder):
            part.set_progress_bar_config(disable=True)
        self.none = self.prior.get_zero_embed()

    def embed(self, image) -> torch.Tensor:
        return self.prior.image_encoder(**self.prior.image_processor(image, return_tensors="pt")).image_embeds[0]

    def painted(self, embed: torch.Tensor, seed: int = 7, **options) -> list:
        return self.decoder(image_embeds=embed[None], negative_image_embeds=self.none, generator=generators(seed, 1),
                            **self.SIZES | options).images

    def test_vary(self):
        self.run_on(self.model, "vary", self.files[0], "--n", 2, "--guidance", 3, *self.FLAGS)
        embed = self.embed(self.photos[0])
        self.same([self.painted(embed, seed, guidance_scale=3.0)[0] for seed in (7, 8)], numbered(self.out, 2))

    def test_blend_with_a_text(self):
        imagined = self.prior(PROMPT, num_inference_steps=4, generator=generators(7, 1)).image_embeds[0]
        self.run_on(self.model, "blend", self.files[0], PROMPT, "--count", 3, "--prior-steps", 4, "--frames", self.frames, *self.FLAGS)
        for i in range(3):
            self.same(self.painted(between(self.embed(self.photos[0]), imagined, i / 2)), [self.frame(i + 1)])

    def inverted(self, latents: torch.Tensor, answer) -> torch.Tensor:
        """Where each step of DDIM starts: with the noise that is predicted there, looked for by plain iteration."""
        alphas = self.ddim.alphas_cumprod
        stride = len(alphas) // len(self.ddim.timesteps)
        for timestep in self.ddim.timesteps.flip(0):
            next_alpha = alphas[timestep - stride] if timestep >= stride else self.ddim.final_alpha_cumprod
            x = latents
            for _ in range(40):
                x = x + (latents - self.ddim.step(answer(x, timestep), timestep, x).prev_sample) * (alphas[timestep] / next_alpha).sqrt()
            latents = x
        return latents

    def guided(self, embed: torch.Tensor, scale: float):
        def answer(x, timestep):
            conditions = torch.stack([self.none[0], embed])
            both = self.decoder.unet(torch.cat([x] * 2), timestep, None, added_cond_kwargs={"image_embeds": conditions}).sample
            without, with_embed = both[:, :4]
            return without + scale * (with_embed - without)
        return answer

    def test_morph(self):
        """The first picture is the given one, as the autoencoder can tell it; the last is a run from the same noise."""
        tame(self.decoder.unet)
        self.saved(self.pipeline)
        self.photos[0].resize((40, 32)).save(self.files[0])
        image = Image.open(self.files[0])
        self.run_on(self.model, "morph", self.files[0], "--from", "a cat", "--to", "a dog in the snow", "--theta", 0.4, "--count", 3,
                    "--guidance", 2, "--frames", self.frames, *self.FLAGS, steps=10)
        self.ddim = diffusers.DDIMScheduler.from_config(self.decoder.scheduler.config, clip_sample=False)
        self.ddim.set_timesteps(10)
        movq, embed = self.decoder.movq, self.embed(image)
        latents = movq.encode(pixels(image)).latents
        self.assertGreater(psnr(pixels(Image.open(self.frame(1))), movq.decode(latents, force_not_quantize=True).sample), 45)
        tokens = self.prior.tokenizer(["a cat", "a dog in the snow"], padding="max_length", return_tensors="pt").input_ids
        texts = torch.nn.functional.normalize(self.prior.text_encoder(tokens).text_embeds)
        difference = torch.nn.functional.normalize(texts[1] - texts[0], dim=0)
        x = self.inverted(latents, self.guided(embed, 2))
        answer = self.guided(slerp(embed / embed.norm(), difference, 0.4) * embed.norm(), 2)
        for timestep in self.ddim.timesteps:
            x = self.ddim.step(answer(x, timestep), timestep, x).prev_sample
        # Measured: 58 dB. Two ways find the noise, each to within its tolerance, and 8 bits are written.
        last = pixels(Image.open(self.frame(3)))
        self.assertGreater(psnr(last, movq.decode(x, force_not_quantize=True).sample), 45)
        self.assertLess(psnr(last, pixels(Image.open(self.frame(1)))), 30)

    def test_refused(self):
        model = ("--model", self.model, "-o", self.out)
        self.refused(2, "leave the prompt out", "vary", self.files[0], PROMPT, *model)
        texts = ("--from", "a cat", "--to", "a dog")
        self.refused(2, "backwards", "morph", self.files[0], *texts, "--scheduler", "euler", *model)
        self.refused(2, "alike", "morph", self.files[0], "--from", "a cat", "--to", "a cat", *model)
        self.refused(2, "--to", "morph", self.files[0], "--from", "a cat", *model)
        self.refused(2, "empty", "morph", self.files[0], "--from", "a cat", "--to", "", *model)


class Karlo(Embeddings):
    def setUp(self):
        super().setUp()
        self.text = tiny_models.karlo()
        self.pipeline = tiny_models.karlo_variations(self.text)
        self.model = self.saved(self.pipeline)

    def test_vary(self):
        expected = self.pipeline([self.photos[0]] * 2, decoder_num_inference_steps=5, generator=generators(7, 2)).images
        self.run_on(self.model, "vary", self.files[0], "--n", 2)
        self.same(expected, numbered(self.out, 2))

    def test_morph_starts_at_the_picture(self):
        """The first picture, before super-resolution, is the given one at the decoder's size."""
        # Tamer than tame(): Karlo's schedule ends with next to no signal, where a random answer is all that there is.
        self.pipeline.decoder.conv_out.weight.data *= 0.01
        model = self.saved(self.pipeline)
        self.photos[0].resize((32, 32)).save(self.files[0])
        preview = self.folder / "now.png"
        self.run_on(model, "morph", self.files[0], "--from", "a cat", "--to", "a dog in the snow", "--guidance", 2, "--count", 2,
                    "--theta", 0.5, "--frames", self.frames, "--preview", preview, steps=20)
        small = self.pipeline.decoder.config.sample_size
        sheet = Image.open(preview)  # the last prediction of the decoder, both pictures side by side
        first, last = (pixels(sheet.crop((GAP + i * (small + GAP), GAP, GAP + i * (small + GAP) + small, GAP + small))) for i in (0, 1))
        given = torch.nn.functional.interpolate(pixels(Image.open(self.files[0])), (small, small), mode="bicubic", antialias=True)
        # Measured: 59 and 38 dB. The noise is found to within 1e-4 a step, and 8 bits are written.
        self.assertGreater(psnr(first, given), 50)
        self.assertLess(psnr(last, given), 42)
        self.assertNotEqual(self.frame(1).read_bytes(), self.frame(2).read_bytes())

    def test_morph_and_blend(self):
        self.run_on(self.model, "morph", self.files[0], "--from", "a cat", "--to", "a dog", "--guidance", 2, "--count", 2)
        with Image.open(self.out) as strip:
            self.assertEqual(strip.size, (2 * (32 + GAP) + GAP, 32 + 2 * GAP))
        self.run_on(self.model, "blend", self.files[0], "a dog", self.files[1], "--prior", self.saved(self.text, "text"), "--count", 3)
        self.refused(2, "no prior", "blend", self.files[0], "a dog", "--model", self.model, "-o", self.out)
        self.refused(2, "karlo-variations", "vary", self.files[0], "--model", self.folder / "text", "-o", self.out)


class BadInput(Embeddings):
    def test_models_and_files(self):
        pocket = ("--model", ROOT / "models" / "pocket", "-o", self.out)
        sd = ("--model", self.saved(tiny_models.stable_diffusion()), "-o", self.out)
        self.refused(2, "Stable unCLIP", "vary", self.files[0], *sd)
        self.refused(2, "Stable unCLIP", "blend", *self.files, *sd)
        self.refused(2, "Kandinsky 2.2", "morph", self.files[0], "--from", "a cat", "--to", "a dog", *sd)
        self.refused(3, "none.png", "vary", self.folder / "none.png", *pocket)
        self.refused(3, "none.jpg", "blend", self.files[0], self.folder / "none.jpg", *pocket)
        (self.folder / "text.png").write_text("no picture")
        self.refused(4, "text.png", "vary", self.folder / "text.png", *pocket)
        self.refused(4, "text.png", "blend", self.files[0], self.folder / "text.png", *pocket)
        self.refused(2, "at least two", "blend", self.files[0], *pocket)
        self.refused(2, "leave one out", "blend", *self.files, "--count", 3, "--steps-between", 1, *pocket)
        self.refused(2, "picture", "vary")
        self.refused(2, "ending", "vary", self.files[0], "-o", self.folder / "x.gif")
        self.refused(2, "eta", "vary", self.files[0], "--eta", 2, *pocket)
        self.assertFalse(self.out.exists())


if __name__ == "__main__":
    unittest.main()
