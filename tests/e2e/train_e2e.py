"""longhand train: resumed, lost and shared runs have the losses of an unbroken one; its figures in TensorBoard's own reader."""
import csv
import io
import json
import math
import os
import pathlib
import shutil
import signal
import subprocess
import time
import unittest

import diffusers
import numpy
import PIL.Image
import safetensors.torch
import torch
from safetensors.numpy import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from support import BINARY, ROOT, Case

OPTIMIZER = {"learning_rate": 1e-3, "final_learning_rate": 1e-4, "warmup_steps": 10, "ema_decay": 0.9}
AUTOENCODER = {
    "_class_name": "AutoencoderTiny",
    "encoder_block_out_channels": [8] * 4, "decoder_block_out_channels": [8] * 4, "num_encoder_blocks": [1] * 4,
    "num_decoder_blocks": [1] * 4, "latent_channels": 4, "act_fn": "relu"}
TEXT = {
    "architectures": ["CLIPTextModelWithProjection"], "hidden_size": 16, "intermediate_size": 32,
    "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 77, "hidden_act": "quick_gelu",
    "projection_dim": 16}
VISION = {
    "num_channels": 4, "image_size": 8, "patch_size": 4, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
    "num_attention_heads": 2, "hidden_act": "quick_gelu", "projection_dim": 16}
UNET = {
    "_class_name": "UNet2DConditionModel", "sample_size": 8, "in_channels": 4, "out_channels": 4,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"], "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
    "block_out_channels": [16, 32], "layers_per_block": 1, "cross_attention_dim": 16, "attention_head_dim": 2,
    "norm_num_groups": 8, "addition_embed_type": "text_time", "addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": 64}
PRIOR = {"num_attention_heads": 2, "attention_head_dim": 8, "num_layers": 1, "embedding_dim": 16, "num_embeddings": 77}
CODES = {"embedding_dim": 16, "num_embeddings": 77, "num_components": 4, "num_buckets": 8, "hidden_size": 16, "num_layers": 1,
         "num_attention_heads": 2}
CAPTIONER = {
    "vocab_size": 600, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32,
    "max_position_embeddings": 200, "tie_word_embeddings": True, "layer_norm_eps": 1e-6,
    "vision_config": {k: v for k, v in VISION.items() if k != "projection_dim"}}
DETECTOR = {"block_out_channels": [8, 16], "layers_per_block": [1, 1], "num_attention_heads": 2, "norm_num_groups": 4}
STAGES = ("autoencoder", "decoder", "clip", "captioner_alt", "captioner", "recaption", "painter", "prior", "autoregressive_prior", "super_resolution", "detector")
ENLARGER = {"_class_name": "UNet2DModel", "sample_size": 64, "in_channels": 6, "out_channels": 3, "block_out_channels": [8, 16],
            "down_block_types": ["ResnetDownsampleBlock2D"] * 2, "up_block_types": ["ResnetUpsampleBlock2D"] * 2,
            "layers_per_block": 1, "norm_num_groups": 4, "add_attention": False}
TOGETHER = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", "2"]
# Open MPI refuses root without these; one thread a rank, as its binding gives where there are cores enough.
ENVIRONMENT = os.environ | {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMP_NUM_THREADS": "1"}


class Training(Case):
    def recipe(self, kind: str, out: str, steps: int, **more):
        """A recipe's file; what it trains lies in self.folder / out."""
        recipe = {"kind": kind, "out": str(self.folder / out), "model": str(self.folder / "model"), "seed": 5, "steps": steps,
                  "batch": 4, "resolution": 64, "checkpoint_minutes": 0, "optimizer": OPTIMIZER}
        recipe |= {"autoencoder": {"crop": 32, "config": AUTOENCODER},
                   "clip": {"text_encoder": TEXT, "image_encoder": VISION},
                   "painter": {"unet": UNET, "clip": str(self.folder / "clip"),
                               "sample_prompts": ["a red car"]},
                   "prior": {"prior": PRIOR, "scheduler": {"_class_name": "UnCLIPScheduler", "prediction_type": "sample"},
                             "clip": str(self.folder / "clip")},
                   "autoregressive_prior": {"prior": CODES, "clip": str(self.folder / "clip")},
                   "super_resolution": {"unet": ENLARGER, "crop": 32, "crops_of_a_scene": 2,
                                        "scheduler": {"_class_name": "UnCLIPScheduler", "prediction_type": "sample"}},
                   "captioner": {"captioner": CAPTIONER, "clip": str(self.folder / "clip"),
                                 "captions": {"alt": 0.2, "short": 0.4, "descriptive": 0.4}},
                   "detector": {"config": DETECTOR}}[kind]
        if kind not in ("autoencoder", "super_resolution", "detector"):
            recipe |= {"latents": str(self.folder / "latents"), "scenes": 64}
        path = self.folder / f"{out}.json"
        path.write_text(json.dumps(recipe | more))
        return path

    def rows(self, out: str) -> list:
        """Step, loss and gradient norm, as they are written."""
        with open(self.folder / out / "losses.csv") as file:
            return list(csv.reader(file))

    def step(self, out: str) -> int:
        """Where the checkpoint stands."""
        try:
            return json.loads((self.folder / out / "state.json").read_text())["step"]
        except FileNotFoundError:
            return 0

    def until(self, run: subprocess.Popen, out: str, step: int) -> None:
        """Waits for a checkpoint at that step or a later one."""
        ends = time.monotonic() + 120
        while self.step(out) < step:
            self.assertIsNone(run.poll(), "the run ended early")
            self.assertLess(time.monotonic(), ends)
            time.sleep(0.002)

    def together(self, recipe, code: int = 0) -> str:
        """Two ranks, to the end; returns what they said."""
        done = subprocess.run([*TOGETHER, BINARY, "train", recipe], capture_output=True, timeout=600, env=ENVIRONMENT)
        self.assertEqual(done.returncode, code, done.stderr.decode())
        return done.stderr.decode()

    def start_together(self, recipe) -> subprocess.Popen:
        run = subprocess.Popen([*TOGETHER, BINARY, "train", recipe], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               env=ENVIRONMENT)
        self.addCleanup(run.stderr.close)
        return run


class Resuming(Training):
    steps = 120

    def events(self, out: str) -> EventAccumulator:
        return EventAccumulator(str(self.folder / out), size_guidance={"scalars": 0, "images": 0}).Reload()

    def test_a_broken_run_has_the_losses_of_an_unbroken_one(self):
        self.longhand("train", self.recipe("autoencoder", "unbroken", self.steps))
        weights = (self.folder / "model/vae/diffusion_pytorch_model.safetensors").read_bytes()
        rows = self.rows("unbroken")
        self.assertEqual([int(row[0]) for row in rows], list(range(1, self.steps + 1)))

        recipe = self.recipe("autoencoder", "broken", self.steps)
        killed = self.start("train", recipe)
        self.until(killed, "broken", 8)
        killed.kill()
        killed.communicate()
        shutil.copytree(self.folder / "broken", self.folder / "kept")

        stopped = self.start("train", recipe)
        self.until(stopped, "broken", 30)
        stopped.terminate()
        said = stopped.communicate()[1].decode()
        self.assertEqual(stopped.returncode, 130, said)
        self.assertIn(f"stopped at step {self.step('broken')}; the same command goes on from there", said)
        self.assertEqual(self.rows("broken"), rows[: self.step("broken")])

        self.longhand("train", recipe)
        self.assertEqual(self.rows("broken"), rows)
        self.assertEqual((self.folder / "model/vae/diffusion_pytorch_model.safetensors").read_bytes(), weights)

        # A checkpoint that lies far behind what is on file, as after a lost machine: no step is told twice.
        (self.folder / "broken/state.json").unlink()
        for path in (self.folder / "kept").glob("*.*"):
            if path.name == "state.json" or path.name.startswith("checkpoint"):
                shutil.copy(path, self.folder / "broken")
        self.longhand("train", recipe)
        self.assertEqual(self.rows("broken"), rows)
        self.assertEqual(len(list((self.folder / "broken").glob("*tfevents*"))), 4)
        for out in ("unbroken", "broken"):
            self.check_events(out, rows)
            self.assertEqual([json.loads(row)["step"] for row in (self.folder / out / "reviews.jsonl").open()], [self.steps])

    def check_events(self, out: str, rows: list) -> None:
        events = self.events(out)
        self.assertEqual(set(events.Tags()["scalars"]), {"loss", "learning_rate", "gradient_norm", "images_per_second", "review/psnr"})
        tenths = list(range(10, self.steps + 1, 10))
        for tag in ("loss", "learning_rate", "gradient_norm", "images_per_second"):
            self.assertEqual([event.step for event in events.Scalars(tag)], tenths, tag)
        norms = [event.value for event in events.Scalars("gradient_norm")]
        for norm, row in zip(norms, rows[9::10]):
            self.assertAlmostEqual(norm / float(row[2]), 1, places=6)
        # The last ten steps are of one process in every run; there the mean is known.
        mean = sum(float(row[1]) for row in rows[-10:]) / 10
        self.assertAlmostEqual(events.Scalars("loss")[-1].value / mean, 1, places=6)
        cosine = 1e-4 + 9e-4 * 0.5 * (1 + math.cos(math.pi * 109 / 110))
        self.assertAlmostEqual(events.Scalars("learning_rate")[0].value, 1e-3, places=9)
        self.assertAlmostEqual(events.Scalars("learning_rate")[-1].value, cosine, places=9)
        self.assertTrue(all(event.value > 0 for event in events.Scalars("images_per_second")))
        self.assertEqual([event.step for event in events.Scalars("review/psnr")], [self.steps])
        (sheet,) = events.Images("samples")
        picture = PIL.Image.open(io.BytesIO(sheet.encoded_image_string))
        self.assertEqual((sheet.step, picture.size), (self.steps, (sheet.width, sheet.height)))
        self.assertEqual(sheet.encoded_image_string, (self.folder / out / f"samples/{self.steps:06}.png").read_bytes())


@unittest.skipUnless(shutil.which("mpirun"), "no mpirun on this machine")
class Ranks(Training):
    def compare(self, kind: str, steps: int = 6, **more) -> None:
        shutil.rmtree(self.folder / kind, ignore_errors=True)
        shutil.rmtree(self.folder / f"{kind}-shared", ignore_errors=True)
        self.longhand("train", self.recipe(kind, kind, steps, dtype="float32", **more))
        self.together(self.recipe(kind, f"{kind}-shared", steps, dtype="float32", **more))
        alone, shared = self.rows(kind), self.rows(f"{kind}-shared")
        self.assertEqual(len(shared), steps)
        for one, other in zip(alone, shared):
            self.assertEqual(one[0], other[0])
            # Sums of float32 in another order: 1e-6 in the first step. Each step of AdamW turns differences of gradients
            # near 0 into differences of weights, so later steps are let drift further.
            places = 5 if one[0] == "1" else 3
            for column in (1, 2):
                self.assertAlmostEqual(float(other[column]) / float(one[column]), 1, places=places, msg=f"{kind}: {one}, {other}")

    def test_losses_are_those_of_one_process(self):
        for kind in ("autoencoder", "clip", "captioner", "painter", "prior", "autoregressive_prior", "super_resolution", "detector"):
            self.compare(kind)
        # Muon's matrices are shared among the ranks, and so are the wrong captions' rows.
        self.compare("clip", hard_negatives=True)
        self.compare("painter", optimizer=OPTIMIZER | {"muon": True})

    def test_a_lost_rank_ends_the_run_at_its_last_checkpoint(self):
        recipe = self.recipe("autoencoder", "lost", 100000)
        run = self.start_together(recipe)
        self.until(run, "lost", 5)
        os.kill(self.pid_of_rank(run, 1), signal.SIGKILL)
        said = run.communicate(timeout=60)[1].decode()
        self.assertEqual(run.returncode, 128 + signal.SIGKILL, said)
        self.assertIn("exited on signal 9", said)
        state = json.loads((self.folder / "lost/state.json").read_text())
        self.assertIn("master", load_file(self.folder / "lost" / state["checkpoint"]))
        done = self.longhand("train", self.recipe("autoencoder", "lost", state["step"] + 3))
        self.assertIn(f"going on at step {state['step']}", done.stderr)
        self.assertEqual([int(row[0]) for row in self.rows("lost")], list(range(1, state["step"] + 4)))

    def pid_of_rank(self, run: subprocess.Popen, rank: int) -> int:
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(run.pid)], capture_output=True, text=True).stdout.split()
        for pid in children:
            with open(f"/proc/{pid}/environ") as file:
                if f"OMPI_COMM_WORLD_RANK={rank}" in file.read().split("\0"):
                    return int(pid)
        self.fail(f"no rank {rank} among {children}")

    def test_a_signal_to_one_rank_stops_all_at_one_step(self):
        run = self.start_together(self.recipe("autoencoder", "stopped", 100000, checkpoint_minutes=0.0005))
        self.until(run, "stopped", 5)
        os.kill(self.pid_of_rank(run, 1), signal.SIGTERM)
        said = run.communicate(timeout=60)[1].decode()
        self.assertEqual(run.returncode, 130, said)
        self.assertIn(f"stopped at step {self.step('stopped')}; the same command goes on from there", said)
        self.assertEqual(int(self.rows("stopped")[-1][0]), self.step("stopped"))

    def test_a_batch_that_cannot_be_shared(self):
        self.assertIn("a batch of 3 cannot be shared", self.together(self.recipe("autoencoder", "odd", 2, batch=3), code=2))


def load_tensors(folder: pathlib.Path) -> dict:
    return safetensors.torch.load_file(folder / "diffusion_pytorch_model.safetensors")


class Decoder(Training):
    def test_a_decoder_for_kept_latents(self):
        """The encoder stays to the byte, and what scales its latents; a wider decoder is learned anew."""
        self.longhand("train", self.recipe("autoencoder", "both", 2))
        vae = self.folder / "model/vae"
        before, scaling = load_tensors(vae), json.loads((vae / "config.json").read_text())["scaling_factor"]
        wider = AUTOENCODER | {"decoder_block_out_channels": [12] * 4}
        self.longhand("train", self.recipe("autoencoder", "decoder", 2, encoder=str(vae), config=wider))
        after = load_tensors(vae)
        self.assertEqual(json.loads((vae / "config.json").read_text())["scaling_factor"], scaling)
        kept = [name for name in before if name.startswith("encoder.")]
        self.assertEqual(kept, [name for name in after if name.startswith("encoder.")])
        for name in kept:
            self.assertEqual(before[name].tolist(), after[name].tolist())
        self.assertEqual(after["decoder.layers.0.weight"].shape[0], 12)
        other = AUTOENCODER | {"encoder_block_out_channels": [12] * 4}
        self.refused(4, "its encoder is not that of", "train", self.recipe("autoencoder", "other", 2, encoder=str(vae), config=other))


class VariationalAutoencoder(Training):
    CONFIG = {"_class_name": "AutoencoderKL", "block_out_channels": [16, 16], "latent_channels": 4, "norm_num_groups": 4,
              "down_block_types": ["DownEncoderBlock2D"] * 2, "up_block_types": ["UpDecoderBlock2D"] * 2,
              "mid_block_add_attention": False, "use_quant_conv": False, "use_post_quant_conv": False}

    def test_its_variance_is_that_of_the_noise(self):
        """What it answers of its latents' spread is what they were trained with, and diffusers reads the same of it."""
        self.longhand("train", self.recipe("autoencoder", "kl", 3, config=self.CONFIG, latent_noise=0.2))
        vae = diffusers.AutoencoderKL.from_pretrained(self.folder / "model/vae")
        posterior = vae.encode(torch.rand(2, 3, 32, 32) * 2 - 1).latent_dist
        numpy.testing.assert_allclose(posterior.std.detach().numpy(), 0.2, rtol=0.01)
        self.assertGreater(posterior.mean.std().item(), 0)
        self.refused(4, '"use_quant_conv": false', "train", self.recipe("autoencoder", "quant", 3, config=self.CONFIG | {"use_quant_conv": True}))


class Drawings(Training):
    def table(self) -> pathlib.Path:
        """Twelve circles of several sizes, numbers 0 and 10 of which are held back, and an SVG that is cut off."""
        rows = []
        for i in range(13):
            path = self.folder / f"{i}.svg"
            path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" width="{50 + 10 * i}" height="60"><circle cx="30" cy="30" r="{10 + i}" fill="red"/></svg>'
                            if i != 5 else "<svg")
            rows.append({"Image": str(path), "Title": f"circle {i}", "Description": "a disc" if i % 2 else "", "Keywords": ""})
        table = self.folder / "drawings.jsonl"
        table.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return table

    def test_clip_and_captioner_learn_from_them_too(self):
        self.longhand("train", self.recipe("autoencoder", "autoencoder", 2))
        table = str(self.table())
        said = self.longhand("train", self.recipe("clip", "clip", 3, drawings=table, drawings_share=0.5, hard_negatives=True)).stderr
        self.assertIn("10 drawings to train on, 2 held back, 1 that cannot be drawn", said)
        review = json.loads((self.folder / "clip/reviews.jsonl").read_text().splitlines()[-1])
        self.assertEqual((review["drawings"], review["drawing_among_ten"]), (2, 1))
        self.longhand("train", self.recipe("clip", "further", 2, drawings=table, start=str(self.folder / "clip")))
        self.longhand("train", self.recipe("captioner", "captioner", 3, drawings=table, drawings_share=1))
        self.longhand("train", self.recipe("captioner", "learning", 3, learn_image_encoder=True))
        seen = safetensors.torch.load_file(self.folder / "clip/image_encoder/model.safetensors")
        for out, stays in ("captioner", True), ("learning", False):
            own = safetensors.torch.load_file(self.folder / out / "model.safetensors")
            same = [torch.equal(own[f"git.image_encoder.{name}"], tensor) for name, tensor in seen.items() if name.startswith("vision_model")]
            self.assertEqual(all(same), stays)
        (self.folder / "other.jsonl").write_text('{"Image": "x.png"}\n')
        self.refused(4, "no column Title", "train", self.recipe("clip", "other", 2, drawings=str(self.folder / "other.jsonl")))


class GoingOn(Training):
    def test_a_painter_takes_weights_but_for_what_it_learns_anew(self):
        for kind in ("autoencoder", "clip", "painter"):
            self.longhand("train", self.recipe(kind, kind, 2))
        shutil.copy(self.folder / "model/unet/diffusion_pytorch_model.safetensors", self.folder / "start.safetensors")
        standstill = {"learning_rate": 0, "final_learning_rate": 0, "warmup_steps": 0}
        start = {"start": str(self.folder / "start.safetensors"), "optimizer": standstill}
        self.longhand("train", self.recipe("painter", "anew", 1, seed=6, latents=str(self.folder / "latents6"), learnt_anew=["attn2."], **start))
        before = safetensors.torch.load_file(self.folder / "start.safetensors")
        after = safetensors.torch.load_file(self.folder / "model/unet/diffusion_pytorch_model.safetensors")
        self.assertEqual(before.keys(), after.keys())
        changed = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
        self.assertEqual(changed, {name for name in before if "attn2." in name and not name.endswith("bias")})
        self.refused(4, 'none has "attn9."', "train", self.recipe("painter", "other", 1, learnt_anew=["attn9."], **start))

    def test_a_clip_keeps_its_text_encoder(self):
        for kind in ("autoencoder", "clip"):
            self.longhand("train", self.recipe(kind, kind, 2))
        self.longhand("train", self.recipe("clip", "further", 2, start=str(self.folder / "clip"), keep_text_encoder=True, hard_negatives=True))
        for part, stays in ("text_encoder", True), ("image_encoder", False):
            before, after = (self.folder / run / part / "model.safetensors" for run in ("clip", "further"))
            self.assertEqual(before.read_bytes() == after.read_bytes(), stays, part)
        self.refused(4, '"keep_text_encoder" needs "start"', "train", self.recipe("clip", "other", 1, keep_text_encoder=True))

    def test_latents_of_another_autoencoder(self):
        for kind in ("autoencoder", "clip"):
            self.longhand("train", self.recipe(kind, kind, 2))
        self.longhand("train", self.recipe("autoencoder", "other", 2, seed=9))
        self.refused(4, "latents of another autoencoder", "train", self.recipe("clip", "further", 1))

    def test_latents_of_another_world(self):
        """Of the same name, but with other scenes, as where its file or how it draws has changed."""
        for kind in ("autoencoder", "clip"):
            self.longhand("train", self.recipe(kind, kind, 2))
        about = self.folder / "latents/latents.json"
        kept = json.loads(about.read_text())
        about.write_text(json.dumps(kept | {"fingerprint": kept["fingerprint"] ^ 1}, separators=(",", ":")) + "\n")
        self.refused(2, "other options", "train", self.recipe("clip", "further", 1))


class Smoke(Training):
    def test_the_whole_story(self):
        """runs/smoke.sh with its own recipes, but for a few steps of small batches."""
        for stage in STAGES:
            text = (ROOT / f"runs/smoke/{stage}.json").read_text().replace("runs/out/smoke", str(self.folder))
            recipe = json.loads(text) | {"steps": 3, "batch": 4}
            if "scenes" in recipe:
                recipe["scenes"] = 64
            (self.folder / f"{stage}.json").write_text(json.dumps(recipe))
        done = subprocess.run([ROOT / "runs/smoke.sh", self.folder, self.folder], capture_output=True, timeout=600,
                              env=os.environ | {"LONGHAND_BINARY": str(BINARY)})
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        for name in "picture.png", "imagined.png":
            with PIL.Image.open(self.folder / name) as picture:
                self.assertEqual(picture.size, (128, 128))
        with open(self.folder / "eval/rows.jsonl") as rows:
            self.assertEqual(sum(1 for _ in rows), 2 * 3 * 9)  # two prompts a task, of three kinds
        caption = json.loads((self.folder / "captions.jsonl").read_text())
        self.assertEqual((caption["Image"], caption["Kind"]), ("picture.png", "descriptive"))
        table = Drawings.table(self)
        self.longhand("eval", "--model", self.folder / "model", "--study", "drawings", "--drawings", table, "--out", self.folder / "drawn")
        page = (self.folder / "drawn/drawings.html").read_text()
        self.assertIn("<b>circle 10</b>", page)
        self.assertNotIn("<b>circle 1</b>", page)
        for study in ("sdedit", "compositing"):
            self.assertTrue((self.folder / study / "sdedit.html").exists())
        self.assertIn("word on a sign", (self.folder / "eval/report.html").read_text())
        with open(self.folder / "recaption/captions.jsonl") as rows:
            self.assertEqual([json.loads(row)["Number"] for row in rows], list(range(64)))
        for stage in STAGES:
            if stage == "recaption":
                continue
            self.assertEqual([row[0] for row in self.rows(stage)], ["1", "2", "3"])


if __name__ == "__main__":
    unittest.main()
