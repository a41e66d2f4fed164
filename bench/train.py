"""A training step of runs/pocket/painter.json: `longhand train` against the same model in PyTorch eager.

Usage: .venv/bin/python bench/train.py [--rounds 5] [--steps 60]
Both train diffusers' UNet2DConditionModel of the recipe with its batch, the embedded model's text encoder, and AdamW for all parameters
(the recipe's Muon has no counterpart for convolutions in PyTorch): bfloat16 (PyTorch: autocast over float32 weights, channels-last, fused AdamW, diffusers' EMAModel with foreach, clipping by
the norm). longhand's loader makes batches of scenes beside the steps; PyTorch's batch lies ready, so its loader costs nothing.
A round's figure is the median of the seconds a step over tens of steps, the first ten left out.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import sys
import tempfile
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from side_by_side import Timer, interleaved, run, table

ROOT = pathlib.Path(__file__).parent.parent
TENTH = 10  # steps between two of longhand's events


def recipe_for(folder: pathlib.Path, steps: int) -> dict:
    """The pocket painter's, in a folder of its own, without sample sheets."""
    recipe = json.loads((ROOT / "runs/pocket/painter.json").read_text())
    recipe |= {"out": str(folder / "out"), "latents": str(folder / "latents"), "model": str(folder / "model"), "steps": steps,
               "clip": str(folder / "clip"), "scenes": 1024, "sample_prompts": [], "dtype": "bfloat16",
               "checkpoint_minutes": 1000, "sample_minutes": 1000}
    recipe["optimizer"] |= {"muon": False}
    for part, place in ("vae", "model/vae"), ("text_encoder_2", "clip/text_encoder"), ("image_encoder", "clip/image_encoder"):
        shutil.copytree(ROOT / "models/pocket" / part, folder / place)
    return recipe


def longhand(folder: pathlib.Path, batch: int) -> float:
    """Seconds a step of a run from nothing, as its events tell."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    shutil.rmtree(folder / "out", ignore_errors=True)
    run([ROOT / "build/longhand", "train", folder / "recipe.json"])
    events = EventAccumulator(str(folder / "out")).Reload()
    return batch / statistics.median(event.value for event in events.Scalars("images_per_second")[1:])


class Eager:
    """PyTorch's side: the same step, written as diffusers' own training scripts write it."""

    def __init__(self, recipe: dict):
        import diffusers
        import torch
        import transformers
        from diffusers.training_utils import EMAModel
        self.torch, options = torch, recipe["optimizer"]
        self.clip_norm = options.get("clip_norm", 1.0)
        self.unet = diffusers.UNet2DConditionModel.from_config(recipe["unet"]).to(memory_format=torch.channels_last)
        self.text_encoder = transformers.CLIPTextModelWithProjection.from_pretrained(f"{recipe['clip']}/text_encoder",
                                                                                     dtype=torch.bfloat16)
        self.scheduler = diffusers.DDPMScheduler.from_config(recipe["scheduler"])
        self.optimizer = torch.optim.AdamW(self.unet.parameters(), lr=options["learning_rate"],
                                           betas=(options.get("beta1", 0.9), options["beta2"]),
                                           weight_decay=options["weight_decay"], fused=True)
        self.average = EMAModel(self.unet.parameters(), decay=options["ema_decay"], foreach=True)
        batch, side, channels = recipe["batch"], recipe["unet"]["sample_size"], recipe["unet"]["in_channels"]
        self.latents = torch.randn(batch, channels, side, side).to(memory_format=torch.channels_last)
        self.ids = torch.randint(0, 49000, (batch, 77))
        self.sizes = torch.tensor([[128.0, 128.0, 0.0, 0.0, 128.0, 128.0]] * batch)

    def step(self) -> None:
        torch = self.torch
        noise = torch.randn_like(self.latents)
        timesteps = torch.randint(0, self.scheduler.config.num_train_timesteps, (len(self.latents),))
        noisy = self.scheduler.add_noise(self.latents, noise, timesteps)
        target = self.scheduler.get_velocity(self.latents, noise, timesteps)
        with torch.no_grad():
            text = self.text_encoder(self.ids, output_hidden_states=True)
        with torch.autocast("cpu", torch.bfloat16):
            answer = self.unet(noisy, timesteps, text.hidden_states[-2], return_dict=False,
                               added_cond_kwargs={"text_embeds": text.text_embeds, "time_ids": self.sizes})[0]
        torch.nn.functional.mse_loss(answer.float(), target).backward()
        torch.nn.utils.clip_grad_norm_(self.unet.parameters(), self.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.step(self.unet.parameters())

    def seconds(self, steps: int) -> float:
        tens = []
        for _ in range(steps // TENTH):
            began = time.monotonic()
            for _ in range(TENTH):
                self.step()
            tens.append((time.monotonic() - began) / TENTH)
        return statistics.median(tens[1:])


def answer(recipe: pathlib.Path) -> None:
    """Another process's side of side_by_side.Timer."""
    eager = Eager(json.loads(recipe.read_text()))
    print("ready", flush=True)
    for line in sys.stdin:
        print(eager.seconds(int(line)), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60, help="a round, a multiple of 10 from 20 on")
    parser.add_argument("--eager", type=pathlib.Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.eager:
        return answer(options.eager)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        recipe = recipe_for(folder, options.steps)
        (folder / "recipe.json").write_text(json.dumps(recipe))
        with Timer([sys.executable, __file__, "--eager", folder / "recipe.json"]) as eager:
            seconds = interleaved({"PyTorch eager": lambda: eager.seconds(str(options.steps)),
                                   "longhand train": lambda: longhand(folder, recipe["batch"])}, options.rounds, warmup=0)
    print(f"One step of {recipe['batch']} pictures; goal: 1.5 times as fast.\n")
    print(table(seconds, "PyTorch eager"))
    print("\nimages/s: " + ", ".join(f"{name} {recipe['batch'] / statistics.median(values):.1f}" for name, values in seconds.items()))


if __name__ == "__main__":
    main()
